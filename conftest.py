"""Fixtures for the tests of gar-publish and of the emulator: a clean environment, and the search for leaks."""

import itertools
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

CLEARED = ("ACTIONS_", "CLOUDSDK_", "GAR_", "GITHUB_", "GOOGLE_", "INPUT_", "PIP_", "RUNNER_", "TWINE_", "UV_")
"""Prefixes of the environment variables that configure gar-publish or its tools. Tests do not inherit them."""


class FileScheduling(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types
    """Runs the tests of one file on the same worker, because they share fixtures.

    All tests that use Docker run on one worker: a machine has one Docker engine, with one image of each name, and one
    address for the metadata server.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return "docker" if path.startswith("tests/e2e/") else path


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FileScheduling:
    return FileScheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def _number_folders() -> Iterator[None]:
    """Number temporary folders with a counter.

    Pytest lists all folders of the session for each new one, which takes 10 ms once there are some thousands.
    """
    numbers = itertools.count()

    def mktemp(factory: pytest.TempPathFactory, basename: str, numbered: bool = True) -> Path:  # noqa: FBT001, FBT002 - pytest's
        folder = factory.getbasetemp() / (f"{basename}_{next(numbers)}" if numbered else basename)
        folder.mkdir(mode=0o700)
        return folder

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pytest.TempPathFactory, "mktemp", mktemp)
        yield


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
    """Fail the test if it, or a process that it started, leaked a secret."""
    temporary = tmp_path_factory.mktemp("tmp")
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    leaks = listener.leaks
    yield leaks
    # From now on, the fixtures of modules and of the session count for the next test.
    listener.leaks = Leaks()
    for phase, stream, said in request.node._report_sections:
        leaks.scan(f"{stream} of the test's {phase}", said)
    if found := leaks.findings(tmp_path, temporary):
        pytest.fail("secrets leaked:\n" + "\n".join(found), pytrace=False)


@pytest.fixture(scope="session", autouse=True)
def _few_keys() -> Iterator[None]:
    with few_keys():
        yield


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(CLEARED) and name not in PASSED_ON:
            monkeypatch.delenv(name)
