"""What every test has, those of `tests` and those of `emulator/tests`: a bare environment, and the search for leaks."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from emulated import few_keys
from tests.conftest import PASSED_ON
from tests.leaks import Leaks, Listener

MEANT = ("ACTIONS_", "CLOUDSDK_", "GAR_", "GITHUB_", "GOOGLE_", "INPUT_", "PIP_", "RUNNER_", "TWINE_", "UV_")
"""Beginnings of variables that mean something to gar-publish or its tools: no test inherits them."""


class ByNeeds(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types
    """Which tests one of several workers takes together: those of a file, which share fixtures.

    All that use Docker are one worker's: a machine has one such engine, with one image of each name, and one address
    of the metadata server.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return "docker" if path.startswith("tests/e2e/") else path


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByNeeds:
    return ByNeeds(config, log)


@pytest.fixture(scope="session")
def listener() -> Iterator[Listener]:
    listener = Listener()
    listener.start()
    yield listener
    listener.stop()


@pytest.fixture(autouse=True)
def leaks(
    request: pytest.FixtureRequest,
    listener: Listener,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Leaks]:
    """Fails the test if it, or anything that it started, let a secret out."""
    temporary = tmp_path_factory.mktemp("tmp")
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    leaks = listener.leaks
    yield leaks
    # What fixtures of modules and of the session do from now on is the next test's.
    listener.leaks = Leaks()
    for phase, stream, said in request.node._report_sections:
        leaks.hear(f"{stream} of the test's {phase}", said)
    if found := leaks.findings(tmp_path, temporary):
        pytest.fail("secrets leaked:\n" + "\n".join(found), pytrace=False)


@pytest.fixture(scope="session", autouse=True)
def _few_keys() -> Iterator[None]:
    with few_keys():
        yield


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(MEANT) and name not in PASSED_ON:
            monkeypatch.delenv(name)
