import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gar_publish.context import Context, RetryPolicy
from gar_publish.distributions import distribution
from gar_publish.distributions.distribution import Distribution
from gar_publish.errors import RegistryRefused
from gar_publish.publish.evidence import EvidenceMaker
from gar_publish.registry.outcomes import AttachedEvidence, Evidence
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.settings import Settings
from tests.unit.publish.registry import Bench
from tests.unit.servers import Memory
from tests.wheels import make_sdist, make_wheel


@pytest.fixture
def files(tmp_path: Path) -> list[Distribution]:
    paths = [make_wheel(tmp_path, "sample"), make_sdist(tmp_path), make_wheel(tmp_path, "other", "2.0")]
    return [distribution.read(path) for path in paths]


@pytest.fixture
def maker(tmp_path: Path) -> Iterator[EvidenceMaker]:
    environment = {"PATH": os.environ["PATH"]}
    inputs = {"repository": "us/demo-project/python", "sbom": "true", "provenance": "true"}
    settings = Settings.from_inputs(inputs, environment=environment, endpoints=Endpoints())
    with ThreadPoolExecutor() as workers:
        yield EvidenceMaker(settings, Context(tmp_path, environment, Endpoints(), Memory(), RetryPolicy()), workers)


def outline(found: Sequence[AttachedEvidence]) -> list[tuple[str, str, str, str]]:
    return [(each.evidence.kind, each.name, each.version, each.state) for each in found]


class Attachments:
    """Refuses SBOMs, fails on `other`, and attaches everything else."""

    def __init__(self) -> None:
        self.verify: list[bool] = []

    def attach(self, evidence: Evidence, name: str, version: str, *, verify: bool) -> str:
        self.verify.append(verify)
        if evidence.kind == "sbom":
            raise RegistryRefused("No.", anchor="evidence-refused")
        if name == "other":
            raise KeyError("made-up-secret")
        return f"{name}/{version}"


def test_evidence_is_attached_and_left(maker: EvidenceMaker, files: list[Distribution], tmp_path: Path) -> None:
    for each in files:
        maker.begin(each)
    attachments: Any = Attachments()
    found = maker.finish(files, attachments)
    assert outline(found) == [
        ("sbom", "sample", "1.0", "not attached"),
        ("sbom", "other", "2.0", "not attached"),
        ("provenance", "sample", "1.0", "attached"),
        ("provenance", "other", "2.0", "not attached"),
    ]
    assert [each.failure.exit_code if each.failure else 0 for each in found] == [6, 6, 0, 1]
    assert [each.attachment for each in found] == ["", "", "sample/1.0", ""]
    assert attachments.verify == [True] * 4
    names = {each.evidence.filename for each in found}
    assert {"sample-1.0-py3-none-any.whl.cdx.json", "other-2.0-py3-none-any.whl.cdx.json"} < names
    (provenance,) = {each.evidence for each in found if each.evidence.kind == "provenance"}
    assert provenance.filename == f"provenance-{provenance.sha256[:12]}.intoto.json"
    assert all(each.path == f"dist/{each.evidence.filename}" for each in found)
    assert all((tmp_path / each.path).read_bytes() == each.evidence.content for each in found)


def test_files_that_have_not_landed_have_no_evidence(maker: EvidenceMaker, files: list[Distribution]) -> None:
    for each in files:
        maker.begin(each)
    assert outline(maker.finish(files[2:], None)) == [
        ("sbom", "other", "2.0", "would attach"),
        ("provenance", "other", "2.0", "would attach"),
    ]
    assert maker.finish([], None) == []


@pytest.mark.parametrize("kind", ["sbom", "provenance"])
def test_only_the_evidence_of_the_settings_is_made(bench: Bench, files: list[Distribution], kind: str) -> None:
    settings = bench.settings(repository="us/demo-project/python", **{kind: "true"})
    maker = EvidenceMaker(settings, bench.context, bench.pool)
    maker.begin(files[0])
    assert [each.evidence.kind for each in maker.finish(files[:1], None)] == [kind]


def test_a_copy_that_cannot_be_written_has_no_path(
    maker: EvidenceMaker, files: list[Distribution], tmp_path: Path
) -> None:
    (tmp_path / "dist").write_text("a file")
    assert {each.path for each in maker.finish(files[:1], None)} == {""}
