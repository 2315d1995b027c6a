"""A runner's step inside the test process."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import pytest

from gar_publish import flow
from gar_publish.github import setup_action, workflow_commands
from tests.runner import read_file_command

FILES = ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_STATE", "GITHUB_STEP_SUMMARY")


@dataclass
class Runner:
    """The files of a step, and the calls that change this process."""

    folder: Path
    calls: list[str] = field(default_factory=list)

    def written(self, file: str) -> dict[str, str]:
        """Return what was written to `GITHUB_OUTPUT` or another file of variables."""
        return read_file_command((self.folder / file).read_text())

    @property
    def summary(self) -> str:
        return (self.folder / "GITHUB_STEP_SUMMARY").read_text()


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runner]:
    """Set the variables of a step; signals and the process itself stay as they are."""
    runner = Runner(tmp_path / "files")
    runner.folder.mkdir()
    for name in FILES:
        (runner.folder / name).touch()
    for module in (workflow_commands, setup_action, flow):
        for name in ("raise_on_signals", "hide_this_process", "ignore_signals"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, lambda name=name: runner.calls.append(name))
    with mock.patch.dict(os.environ, {name: str(runner.folder / name) for name in FILES}):
        yield runner
