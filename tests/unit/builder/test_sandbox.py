import os
import sys
from pathlib import Path

import pytest

from gar_publish.builder.sandbox import Sandbox, open_sandboxes
from tests.recording import RecordingConsole


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path, None, {**os.environ, "SOME_TOKEN": "x"})


def python(script: str) -> list[str | Path]:
    return [sys.executable, "-c", script]


def test_a_program_gets_the_variables_of_the_sandbox(sandbox: Sandbox, tmp_path: Path) -> None:
    seen: list[str] = []
    sandbox.run(
        python("import os; print(os.environ.get('SOME_TOKEN'), os.environ['MORE'], 'PATH' in os.environ)"),
        cwd=tmp_path,
        extra={"MORE": "more"},
        show=seen.append,
    )
    assert seen == ["None more True"]


def test_removes_its_folder(tmp_path: Path, console: RecordingConsole) -> None:
    with open_sandboxes({"TMPDIR": str(tmp_path)}, console=console, insist=False) as (sandbox,):
        scratch = sandbox.scratch
        (sandbox.folder("x") / "file").touch()
    assert not scratch.exists()


@pytest.fixture
def console() -> RecordingConsole:
    return RecordingConsole()
