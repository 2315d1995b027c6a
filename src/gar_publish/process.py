"""Being cancelled: a signal becomes one KeyboardInterrupt, and the process ends without waiting for its threads.

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
    """Keep processes of the same user from reading this one's memory and environment.

    A started program is readable again, so this holds for gar-publish alone.
    """
    _prctl(_PR_SET_DUMPABLE, 0)


def adopt_orphans() -> None:
    """Become the parent of whatever a child leaves running."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


_heard = threading.Event()


def raise_on_signals() -> None:
    """Have the first SIGINT or SIGTERM raise KeyboardInterrupt in the main thread; later ones do nothing.

    Where Python cannot let it through, it would show a traceback and go on; `check_signals` raises it again instead.
    """
    sys.unraisablehook = _show_unless_interrupted
    _set_handler(_interrupt)


def ignore_signals() -> None:
    """Let nothing tear what is being written from now on. Programs that are started do not inherit this."""
    _set_handler(_nothing)
    _heard.clear()


@contextmanager
def until_a_signal() -> Iterator[None]:
    """Have a signal end what is inside and nothing else; before and after it, signals are ignored."""
    try:
        with suppress(KeyboardInterrupt):
            raise_on_signals()
            yield
    finally:
        ignore_signals()


def check_signals() -> None:
    """Raise KeyboardInterrupt once more where it was lost: Python ignores what is raised in a callback of an import or
    of the garbage collector. Called now and then by the main thread while it waits.
    """
    if _heard.is_set():
        raise KeyboardInterrupt


def leave(code: int) -> NoReturn:
    """End the process. A thread that still waits for a server, perhaps for minutes, is not waited for."""
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream:  # neither there where it was closed before the start
                stream.flush()
    except OSError:  # whoever read our output is gone, and Python would end with another code for that
        os._exit(code)
    if threading.active_count() == 1:
        sys.exit(code)
    os._exit(code)


def _set_handler(handler: "signal._HANDLER") -> None:
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, handler)


def _interrupt(*_: object) -> None:
    ignore_signals()
    _heard.set()
    raise KeyboardInterrupt


def _show_unless_interrupted(unraisable: "sys.UnraisableHookArgs") -> None:
    if not isinstance(unraisable.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)


def _nothing(*_: object) -> None:
    pass
