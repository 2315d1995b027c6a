import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gar_publish.process import become_subreaper, check_signals, hide_this_process, ignore_signals, raise_on_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_interrupts_and_the_next_do_nothing(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        raise_on_signals()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            check_signals()
    finally:
        ignore_signals()
        check_signals()
        for each, handler in before.items():
            signal.signal(each, handler)


def test_a_signal_ends_an_interruptible_block_and_nothing_else() -> None:
    program = (
        "import os, signal, time; from gar_publish.process import interruptible\n"
        "with interruptible():\n"
        "    os.kill(os.getpid(), signal.SIGINT); print('not reached')\n"
        "os.kill(os.getpid(), signal.SIGTERM); print('ended', end='')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"ended", b"")


def test_an_interrupt_that_python_drops_is_raised_later_without_a_traceback() -> None:
    program = (
        "import os, signal; from gar_publish.process import check_signals, raise_on_signals\n"
        "class Lost:\n"
        "    def __del__(self):\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "raise_on_signals(); Lost()\n"
        "try: check_signals()\n"
        "except KeyboardInterrupt: print('raised', end='')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"raised", b"")


@pytest.mark.parametrize("code", [0, 7])
def test_exit_flushes_and_waits_for_no_thread(code: int) -> None:
    program = (
        "import threading, time; from gar_publish.process import exit_now\n"
        "threading.Thread(target=time.sleep, args=(60,)).start()\n"
        f"print('text', end=''); exit_now({code})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, b"text", b"")


def test_exit_without_streams_or_with_a_closed_reader() -> None:
    gone = "class Gone:\n def flush(self): raise BrokenPipeError\nsys.stdout = Gone()"
    for prepare in ("sys.stdout = None", gone):
        program = f"import sys\nfrom gar_publish.process import exit_now\n{prepare}\nexit_now(7)"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30, check=False)
        assert (done.returncode, done.stderr) == (7, b"")


@pytest.mark.parametrize(
    ("platform", "calls"), [("linux", [(4, 0, 0, 0, 0), (36, 1, 0, 0, 0)]), ("darwin", []), ("win32", [])]
)
def test_prctl_is_called_on_linux_alone(platform: str, calls: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[Any] = []

    class Library:
        def __init__(self, _: None) -> None:
            pass

        def prctl(self, *arguments: int) -> None:
            called.append(arguments)

    monkeypatch.setattr(ctypes, "CDLL", Library)
    monkeypatch.setattr(sys, "platform", platform)
    hide_this_process()
    become_subreaper()
    assert called == calls


def test_exit_after_an_interrupted_exec(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import os, signal\nfrom gar_publish.process import exit_now\n"
        "try:\n    exec('os.kill(os.getpid(), signal.SIGINT); [0 for _ in range(1000)]')\n"
        "except KeyboardInterrupt:\n    exit_now(7)\n"
    )
    done = subprocess.run([sys.executable, "-m", "program"], cwd=tmp_path, timeout=30, check=False)
    assert done.returncode == 7
