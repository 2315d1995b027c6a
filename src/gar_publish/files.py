"""Read and copy the files that untrusted code made, and make the folder for them."""

import contextlib
import errno
import functools
import operator
import os
import shutil
import stat
import tempfile
from itertools import count
from pathlib import Path
from typing import IO

_LARGEST = 5 * 10**9


def open_regular(file: Path, most: int = _LARGEST) -> IO[bytes]:
    """Open a file made by untrusted code; never follow a link, and never block on a pipe.

    Raises:
        OSError: It is not a regular file, is too large, or cannot be read.
    """
    flags = (getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
    descriptor = os.open(file, functools.reduce(operator.or_, flags, os.O_RDONLY))
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "It is not a regular file", str(file))
    if status.st_size > most:
        os.close(descriptor)
        raise OSError(errno.EFBIG, f"It is larger than {most / 10**6:g} MB", str(file))
    return os.fdopen(descriptor, "rb")


def take(file: Path, folder: Path) -> Path:
    """Copy a file made by a backend to a folder where the backend cannot change it. Raise OSError if it cannot."""
    copy = folder / file.name
    with open_regular(file) as stream, copy.open("xb") as target:
        shutil.copyfileobj(stream, target, 1024 * 1024)
    return copy


def usual_folder(name: str) -> Path:
    """Make a temporary folder for this user alone. Its path is the same in each run, unless that of another run exists.

    Compilers write the paths of temporary files into their results, which should be the same in each run.
    """
    numbers = count(1)
    while True:
        folder = Path(tempfile.gettempdir(), f"{name}-{next(numbers)}").absolute()
        with contextlib.suppress(FileExistsError):
            folder.mkdir(0o700)
            return folder
