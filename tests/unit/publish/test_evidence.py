import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gar_publish.context import Context, RetryPolicy
from gar_publish.distributions import distribution
from gar_publish.distributions.distribution import Distribution
from gar_publish.errors import RegistryRefused
from gar_publish.publish.evidence import Gathering
from gar_publish.registry.outcomes import AttachedEvidence, Evidence
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.settings import Settings
from tests.unit.servers import Memory
from tests.wheels import make_sdist, make_wheel


@pytest.fixture
def files(tmp_path: Path) -> list[Distribution]:
    paths = [make_wheel(tmp_path, "sample"), make_sdist(tmp_path), make_wheel(tmp_path, "other", "2.0")]
    return [distribution.read(path) for path in paths]


@pytest.fixture
def gathering(tmp_path: Path) -> Iterator[Gathering]:
    environment = {"PATH": os.environ["PATH"]}
    inputs = {"repository": "us/demo-project/python", "sbom": "true", "provenance": "true"}
    settings = Settings.from_inputs(inputs, environment=environment, endpoints=Endpoints())
    with ThreadPoolExecutor() as workers:
        yield Gathering(settings, Context(tmp_path, environment, Endpoints(), Memory(), RetryPolicy()), workers)


def outline(found: Sequence[AttachedEvidence]) -> list[tuple[str, str, str, str]]:
    return [(each.evidence.kind, each.name, each.version, each.state) for each in found]


def test_what_has_landed_is_attached_and_left(gathering: Gathering, files: list[Distribution], tmp_path: Path) -> None:
    def attach(evidence: Evidence, name: str, _: str) -> str:
        if evidence.kind == "sbom":
            raise RegistryRefused("No.", anchor="evidence-refused")
        if name == "other":
            raise KeyError("made-up-secret")
        return "attachments/1"

    for each in files:
        gathering.add(each)
    found = gathering.finish(files, attach)
    assert outline(found) == [
        ("sbom", "sample", "1.0", "not attached"),
        ("sbom", "other", "2.0", "not attached"),
        ("provenance", "sample", "1.0", "attached"),
        ("provenance", "other", "2.0", "not attached"),
    ]
    assert [each.failure.exit_code if each.failure else 0 for each in found] == [6, 6, 0, 1]
    assert all((tmp_path / each.path).read_bytes() == each.evidence.content for each in found)


def test_what_has_not_landed_has_no_evidence(gathering: Gathering, files: list[Distribution]) -> None:
    for each in files:
        gathering.add(each)
    assert outline(gathering.finish(files[2:], None)) == [
        ("sbom", "other", "2.0", "would attach"),
        ("provenance", "other", "2.0", "would attach"),
    ]
    assert gathering.finish([], None) == []
