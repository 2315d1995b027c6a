import os
import sys
from pathlib import Path

import pytest

from gar_publish.build.sandbox import Sandbox, open_regular, open_sandboxes
from tests.recording import RecordingConsole


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path, None, {**os.environ, "SOME_TOKEN": "x"})


def python(script: str) -> list[str | Path]:
    return [sys.executable, "-c", script]


def test_the_environment_is_the_sandboxs_own(sandbox: Sandbox, tmp_path: Path) -> None:
    seen: list[str] = []
    sandbox.run(
        python("import os; print(os.environ.get('SOME_TOKEN'), os.environ['MORE'], 'PATH' in os.environ)"),
        cwd=tmp_path,
        extra={"MORE": "more"},
        show=seen.append,
    )
    assert seen == ["None more True"]


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x")
    with open_regular(file) as stream:
        assert stream.read() == b"x"
    (tmp_path / "link").symlink_to(file)
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", ".", "nothing"):
        with pytest.raises(OSError):
            open_regular(tmp_path / name)


def test_nothing_stays(tmp_path: Path, console: RecordingConsole) -> None:
    with open_sandboxes({"TMPDIR": str(tmp_path)}, console=console, insist=False) as (sandbox,):
        scratch = sandbox.scratch
        (sandbox.folder("x") / "file").touch()
    assert not scratch.exists()


@pytest.fixture
def console() -> RecordingConsole:
    return RecordingConsole()
