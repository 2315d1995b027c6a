"""What gar-publish asks of Linux for its own process (`man 2 prctl`); elsewhere nothing."""

import ctypes
import sys

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
