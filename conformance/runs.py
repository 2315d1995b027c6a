"""Which runs were killed: each holds the lock of a file in the machine's temporary folder, and a killed one loses it.

A run of another machine has no file here.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

FOLDER = Path(tempfile.gettempdir())


@contextmanager
def held(run: str) -> Iterator[None]:
    """Hold the lock of a run. Its file stays if the process is killed."""
    with FileLock(_file(run)):
        yield
    _file(run).unlink(missing_ok=True)


def was_killed(run: str) -> bool | None:
    """Return whether a run that left something was killed; None if this machine does not know it."""
    if not _file(run).exists():
        return None
    try:
        with FileLock(_file(run), blocking=False):
            return True
    except Timeout:
        return False


def _file(run: str) -> Path:
    return FOLDER / f"{run}.lock"
