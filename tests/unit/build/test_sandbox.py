"""Running other people's programs."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gar_publish.build.sandbox import Sandbox, open_regular, open_sandbox
from tests.recording import RecordingConsole


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path, None, {**os.environ, "SOME_TOKEN": "x"})


def python(script: str) -> list[str | Path]:
    return [sys.executable, "-c", script]


def test_lines_come_as_they_are_written(sandbox: Sandbox, tmp_path: Path) -> None:
    go = tmp_path / "go"
    script = f"import os, time; print('one', flush=True)\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\n"
    seen = []

    def show(line: str) -> None:
        seen.append(line)
        go.touch()  # the program ends only when its first line was seen

    sandbox.run(python(script + "import sys; print('two', file=sys.stderr)"), cwd=tmp_path, show=show)
    assert seen == ["one", "two"]


def test_what_is_no_text_and_what_never_ends(sandbox: Sandbox, tmp_path: Path) -> None:
    seen: list[str] = []
    script = r"import sys; sys.stdout.buffer.write(b'\xff\r\n' + b'x' * 200_000)"
    sandbox.run(python(script), cwd=tmp_path, show=seen.append)
    assert seen[0] == "\ufffd"
    assert "".join(seen[1:]) == "x" * 200_000
    assert max(map(len, seen)) <= 65536


def test_the_environment_is_the_sandboxs_own(sandbox: Sandbox, tmp_path: Path) -> None:
    seen: list[str] = []
    sandbox.run(
        python("import os; print(os.environ.get('SOME_TOKEN'), os.environ['MORE'], 'PATH' in os.environ)"),
        cwd=tmp_path,
        extra={"MORE": "more"},
        show=seen.append,
    )
    assert seen == ["None more True"]


def test_a_program_that_fails(sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        sandbox.run(python("raise SystemExit(3)"), cwd=tmp_path, show=print)
    assert caught.value.returncode == 3


def test_a_program_that_is_not_there(sandbox: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sandbox.run(["no-such-program"], cwd=tmp_path, show=print)


SLEEPER = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"


def test_what_it_leaves_running_is_ended(sandbox: Sandbox, tmp_path: Path) -> None:
    seen: list[str] = []
    sandbox.run(python(SLEEPER + "print(p.pid)"), cwd=tmp_path, show=seen.append)
    assert not _runs(int(seen[0]))


def test_a_daemon_that_holds_the_output_open_does_not_hold_us(sandbox: Sandbox, tmp_path: Path) -> None:
    daemon = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(5)'], start_new_session=True)"
    started = time.monotonic()
    sandbox.run(python(f"import subprocess, sys; {daemon}"), cwd=tmp_path, show=print)
    assert time.monotonic() - started < 4


def test_an_interruption_ends_it(sandbox: Sandbox, tmp_path: Path) -> None:
    seen: list[str] = []

    def show(line: str) -> None:
        seen.append(line)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sandbox.run(python(SLEEPER + "print(p.pid, flush=True); p.wait()"), cwd=tmp_path, show=show)
    assert not _runs(int(seen[0]))


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
    with open_sandbox({"TMPDIR": str(tmp_path)}, console=console, insist=False) as sandbox:
        scratch = sandbox.scratch
        (sandbox.folder("x") / "file").touch()
    assert not scratch.exists()


@pytest.fixture
def console() -> RecordingConsole:
    return RecordingConsole()


def _runs(pid: int) -> bool:
    """Whether a process is there; one that was killed may still wait for its parent, the init process, to notice."""
    for _ in range(200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        if (status := Path(f"/proc/{pid}/stat")).exists() and status.read_text().rpartition(")")[2].split()[0] == "Z":
            return False
        time.sleep(0.01)
    return True
