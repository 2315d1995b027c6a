import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from gar_publish.builder.process import LONGEST_LINE, Program, Works
from tests.unit.builder.hooks import runs


def run_here(command: Sequence[str | Path], *, cwd: Path, show: Callable[[str], None]) -> None:
    Works().follow(Program(command, cwd=cwd, environment=os.environ), show)


def python(script: str) -> list[str | Path]:
    return [sys.executable, "-c", script]


def test_lines_come_as_they_are_written(tmp_path: Path) -> None:
    go = tmp_path / "go"
    script = f"import os, time; print('one', flush=True)\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\n"
    seen = []

    def show(line: str) -> None:
        seen.append(line)
        go.touch()  # the program ends only when its first line was seen

    run_here(python(script + "import sys; print('two', file=sys.stderr)"), cwd=tmp_path, show=show)
    assert seen == ["one", "two"]


def test_output_that_is_not_text_and_a_line_that_never_ends(tmp_path: Path) -> None:
    seen: list[str] = []
    script = r"import sys; sys.stdout.buffer.write(b'\xff\r\n' + b'x' * 200_000)"
    run_here(python(script), cwd=tmp_path, show=seen.append)
    assert seen[0] == "\ufffd"
    assert "".join(seen[1:]) == "x" * 200_000
    assert max(map(len, seen)) <= LONGEST_LINE


def test_a_program_that_fails(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run_here(python("raise SystemExit(3)"), cwd=tmp_path, show=print)
    assert caught.value.returncode == 3


def test_a_program_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run_here(["no-such-program"], cwd=tmp_path, show=print)


SLEEPER = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"


def test_ends_what_a_program_leaves_running(tmp_path: Path) -> None:
    seen: list[str] = []
    run_here(python(SLEEPER + "print(p.pid)"), cwd=tmp_path, show=seen.append)
    assert not runs(int(seen[0]))


def test_does_not_wait_for_a_daemon_that_keeps_the_output_open(tmp_path: Path) -> None:
    daemon = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(30)'], start_new_session=True)"
    started = time.monotonic()
    run_here(python(f"import subprocess, sys; {daemon}"), cwd=tmp_path, show=print)
    assert time.monotonic() - started < 20


def test_an_interruption_ends_it(tmp_path: Path) -> None:
    seen: list[str] = []

    def show(line: str) -> None:
        seen.append(line)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_here(python(SLEEPER + "print(p.pid, flush=True); p.wait()"), cwd=tmp_path, show=show)
    assert not runs(int(seen[0]))
