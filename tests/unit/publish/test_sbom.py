import json
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.model.bom import Bom
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from gar_publish.distributions import distribution
from gar_publish.publish import sbom
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.repository import Repository
from tests.wheels import make_wheel

PYTHON = Repository.parse("us/demo-project/python", endpoints=Endpoints())
INDEX = "https://us-python.pkg.dev/demo-project/python/simple/"


def made(folder: Path, metadata: str, **environment: str) -> dict[str, Any]:
    """The SBOM of a wheel with these metadata, valid by the official schema."""
    wheel = make_wheel(folder, "my_lib", metadata=f"Metadata-Version: 2.4\nName: My.Lib\nVersion: 1.0\n{metadata}")
    text = sbom.of_wheel(distribution.read(wheel), PYTHON, environment).decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    assert text.startswith('{\n  "')
    assert text.endswith("\n}\n")
    document: dict[str, Any] = json.loads(text)
    return document


def test_the_component_is_the_wheel(tmp_path: Path) -> None:
    document = made(tmp_path, "Summary: Says hello\n")
    component = document["metadata"]["component"]
    assert component["purl"] == f"pkg:pypi/my-lib@1.0?repository_url={INDEX}"
    assert (component["name"], component["version"], component["description"]) == ("my-lib", "1.0", "Says hello")
    assert [each["alg"] for each in component["hashes"]] == ["SHA-256"]
    assert "timestamp" not in document["metadata"]
    assert "components" not in document
    assert Bom.from_json(document).metadata.component.purl.name == "my-lib"  # type: ignore[attr-defined] # made by a decorator


def test_requirements_have_no_version_that_nobody_knows(tmp_path: Path) -> None:
    lines = (
        "requests[socks]<3,>=2",
        "tomli; python_version < '3.11'",
        "rich; extra == 'all'",
        "my-lib[x]; extra == 'all'",
        "requests!=2.1",
    )
    document = made(tmp_path, "".join(f"Requires-Dist: {line}\n" for line in lines))
    found = {
        each["name"]: (each["scope"], [each["value"] for each in each["properties"]]) for each in document["components"]
    }
    assert found == {
        "requests": ("required", ["requests!=2.1", "requests[socks]<3,>=2"]),
        "rich": ("optional", ['rich; extra == "all"']),
        "tomli": ("required", ['tomli; python_version < "3.11"']),
    }
    assert all("version" not in each for each in document["components"])
    depends = {each["ref"]: each.get("dependsOn", []) for each in document["dependencies"]}
    assert depends[document["metadata"]["component"]["bom-ref"]] == [f"pkg:pypi/{name}" for name in sorted(found)]


def test_a_requirement_that_cannot_be_written_is_left_out(tmp_path: Path) -> None:
    assert "components" not in made(tmp_path, r"""Requires-Dist: lib; os_name == "\x27\x22" """ + "\n")


@pytest.mark.parametrize(
    ("metadata", "licences"),
    [
        ("License-Expression: mit OR Apache-2.0\n", [{"expression": "MIT OR Apache-2.0"}]),
        ("License: BSD-3-Clause\nClassifier: License :: Other\n", [{"expression": "BSD-3-Clause"}]),
        ("License: Ours\n        and nobody's\n", [{"license": {"name": "Ours"}}]),
        (
            "Classifier: License :: OSI Approved :: MIT License\nClassifier: Typing :: Typed\n",
            [{"license": {"name": "License :: OSI Approved :: MIT License"}}],
        ),
        ("", []),
    ],
)
def test_licences_are_those_that_are_declared(tmp_path: Path, metadata: str, licences: list[dict[str, Any]]) -> None:
    found = made(tmp_path, metadata)["metadata"]["component"].get("licenses", [])
    for each in found:
        assert each.get("license", each).pop("acknowledgement") == "declared"
    assert found == licences


def test_the_same_wheel_gives_the_same_document(tmp_path: Path) -> None:
    assert made(tmp_path, "") == made(tmp_path, "")
    assert made(tmp_path, "")["serialNumber"] != made(tmp_path, "Summary: another\n")["serialNumber"]


@pytest.mark.parametrize(
    ("epoch", "stamp"), [("1700000000", "2023-11-14T22:13:20+00:00"), ("never", None), ("9" * 30, None)]
)
def test_the_time_is_that_of_the_source(tmp_path: Path, epoch: str, stamp: str | None) -> None:
    assert made(tmp_path, "", SOURCE_DATE_EPOCH=epoch)["metadata"].get("timestamp") == stamp
