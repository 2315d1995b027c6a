import re

import pytest
from packaging.version import Version

from gar_publish.errors import BadInput
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.promotion import Pin, Promotion, read_pins, read_promotion
from gar_publish.settings.repository import Repository


def test_versions_are_read_each_once() -> None:
    lines = ["Hello_World == v1.2.3", "hello-world==1.2.3", "lib[Fast_One,b]==2.0+cpu"]
    assert read_pins(lines) == (
        Pin("hello-world", Version("1.2.3")),
        Pin("lib", Version("2.0+cpu"), frozenset({"fast-one", "b"})),
    )


@pytest.mark.parametrize(
    "line",
    [
        ".",
        "hello",
        "hello>=1.0",
        "hello==1.*",
        "hello===1.0",
        "hello==1.0,!=1.1",
        "hello==1.0; python_version > '3'",
        "hello @ https://example.com/hello-1.0.tar.gz",
        "hello==one",
        f"hello==1.{'9' * 5000}",
        "hello==1.0 --hash=sha256:00",
    ],
)
def test_whatever_else_there_is_names_no_version(line: str) -> None:
    with pytest.raises(BadInput, match="names no version to promote") as caught:
        read_pins([line])
    assert caught.value.anchor == "promote-what"


def promoting(target: str = "us/demo-project/python", **inputs: str) -> Promotion:
    given = {"promote-from": "dev", "packages": "hello==1.2.3\nlib==2.0"}
    given |= {name.replace("_", "-"): value for name, value in inputs.items()}
    return read_promotion(given, Repository.parse(target, endpoints=Endpoints()), Endpoints())


@pytest.mark.parametrize("source", ["dev", "us/demo-project/dev", "https://us-python.pkg.dev/demo-project/dev/simple/"])
def test_versions_are_promoted_from_a_repository(source: str) -> None:
    promotion = promoting(promote_from=source, with_dependencies="true")
    assert str(promotion.source) == "us/demo-project/dev"
    assert promotion.pins == (Pin("hello", Version("1.2.3")), Pin("lib", Version("2.0")))
    assert promotion.with_dependencies
    assert not promoting().with_dependencies


@pytest.mark.parametrize(
    ("inputs", "anchor", "says"),
    [
        ({"dist": "dist"}, "promote-from", "`dist` and `promote-from` are both given"),
        ({"formats": "sdist"}, "promote-from", "`formats` and `promote-from` are both given"),
        ({"expected_version": "1.2.3"}, "promote-from", "`expected-version` and `promote-from` are both given"),
        ({"changed_since": "v1"}, "promote-from", "`changed-since` and `promote-from` are both given"),
        ({"if_exists": "skip"}, "promote-from", "`if-exists: skip` and `promote-from` are both given"),
        ({"provenance": "true"}, "promote-from", "`provenance` and `promote-from` are both given"),
        ({"promote_from": "python"}, "promote-from", "us/demo-project/python is promoted from and to at once"),
        ({"promote_from": "https://index.example.com/"}, "promote-from", "which is not Artifact Registry"),
        ({"target": "https://index.example.com/"}, "repository-form", "`promote-from` is the bare name 'dev'"),
        ({"promote_from": "us/dev"}, "repository-form", "`promote-from` has no form that is known"),
        ({"packages": "."}, "promote-what", "'.' names no version to promote"),
    ],
)
def test_what_cannot_be_promoted(inputs: dict[str, str], anchor: str, says: str) -> None:
    with pytest.raises(BadInput, match=re.escape(says)) as caught:
        promoting(**inputs)
    assert caught.value.anchor == anchor
