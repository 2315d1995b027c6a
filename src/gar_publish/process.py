"""Signals, and the end of the process.

GitHub cancels a step with SIGINT, 7.5 s later with SIGTERM, and kills it 2.5 s after that; `docker stop` and Cloud
Build send SIGTERM. https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-cancellation
"""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36


def hide_this_process() -> None:
    """Keep processes of the same user from reading the memory and environment of this one, but not of its children."""
    _prctl(_PR_SET_DUMPABLE, 0)


def become_subreaper() -> None:
    """Become the parent of orphaned descendants."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


_interrupted = threading.Event()


def raise_on_signals() -> None:
    """Have the first SIGINT or SIGTERM raise KeyboardInterrupt in the main thread, and later ones do nothing.

    Python drops an exception that is raised in a callback of an import or of the garbage collector, and prints a
    traceback. That traceback is left out, and `check_signals` raises KeyboardInterrupt again.
    """
    sys.unraisablehook = _show_unless_interrupted
    _set_handler(_interrupt)


def ignore_signals() -> None:
    """Ignore signals from now on, so that they interrupt no output. Child processes do not inherit this."""
    _set_handler(_nothing)
    _interrupted.clear()


@contextmanager
def interruptible() -> Iterator[None]:
    """Let a signal end the block, and nothing else. Signals are ignored afterwards."""
    try:
        with suppress(KeyboardInterrupt):
            raise_on_signals()
            yield
    finally:
        ignore_signals()


def check_signals() -> None:
    """Raise the KeyboardInterrupt that Python dropped, if any. The main thread calls this regularly while it waits."""
    if _interrupted.is_set():
        raise KeyboardInterrupt


def exit_now(code: int) -> NoReturn:
    """End the process with this code, without what Python does at its end.

    Python would wait for threads, which may wait for a server for minutes. And it would end itself with SIGINT if a
    KeyboardInterrupt had left an `exec`, even though it was caught (`Py_RunMain`).
    """
    with suppress(OSError):  # the reader of our output is gone
        for stream in (sys.stdout, sys.stderr):
            if stream:  # None if it was closed before the start
                stream.flush()
    os._exit(code)


def _set_handler(handler: "signal._HANDLER") -> None:
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, handler)


def _interrupt(*_: object) -> None:
    ignore_signals()
    _interrupted.set()
    raise KeyboardInterrupt


def _show_unless_interrupted(unraisable: "sys.UnraisableHookArgs") -> None:
    if not isinstance(unraisable.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)


def _nothing(*_: object) -> None:
    pass
