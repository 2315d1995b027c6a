"""Read the files that a build made without trusting them, and copy them."""

import contextlib
import errno
import functools
import operator
import os
import shutil
import stat
import sys
from pathlib import Path
from typing import IO

from gar_publish.console import Console

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


def leave(file: Path, dist: Path, console: Console) -> bool:
    """Leave a copy for later steps, with the owner of the project folder. Return False, with a warning, if that fails.

    No link is followed and no file is overwritten in place: gar-publish may be root, in a folder that others can write
    to.
    """
    try:
        if sys.platform == "win32":
            dist.mkdir(exist_ok=True)
            shutil.copyfile(file, dist / file.name)
            return True
        owner = dist.parent.stat()
        made = not dist.is_symlink() and not dist.exists()
        dist.mkdir(exist_ok=True)
        folder = os.open(dist, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if made and os.geteuid() == 0:
                os.fchown(folder, owner.st_uid, owner.st_gid)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(file.name, dir_fd=folder)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with (
                file.open("rb") as source,
                os.fdopen(os.open(file.name, flags, 0o644, dir_fd=folder), "wb") as target,
            ):
                shutil.copyfileobj(source, target, 1024 * 1024)
                if os.geteuid() == 0:
                    os.fchown(target.fileno(), owner.st_uid, owner.st_gid)
        finally:
            os.close(folder)
    except OSError as error:
        console.warning(f"No copy of {file.name} was left in {dist}: {error.strerror}.")
        return False
    return True
