import os
import signal
import subprocess
import sys

import pytest

from gar_publish.process import check_signals, ignore_signals, raise_on_signals


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


def test_a_signal_ends_what_nobody_has_to_wait_for() -> None:
    program = (
        "import os, signal, time; from gar_publish.process import interruptible\n"
        "with interruptible():\n"
        "    os.kill(os.getpid(), signal.SIGINT); print('not reached')\n"
        "os.kill(os.getpid(), signal.SIGTERM); print('ended', end='')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"ended", b"")


def test_one_that_python_cannot_let_through_is_raised_later_and_shows_nothing() -> None:
    program = (
        "import os, signal; from gar_publish.process import check_signals, raise_on_signals\n"
        "class Lost:\n"
        "    def __del__(self):\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "raise_on_signals(); Lost()\n"
        "try: check_signals()\n"
        "except KeyboardInterrupt: print('heard', end='')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"heard", b"")


@pytest.mark.parametrize("code", [0, 7])
def test_leaving_flushes_and_waits_for_no_thread(code: int) -> None:
    program = (
        "import threading, time; from gar_publish.process import exit_now\n"
        "threading.Thread(target=time.sleep, args=(60,)).start()\n"
        f"print('said', end=''); exit_now({code})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, b"said", b"")
