"""Read the files that untrusted code made, and copy them."""

import errno
import functools
import operator
import os
import shutil
import stat
from pathlib import Path
from typing import IO

_LARGEST = 5 * 10**9
_BLOCK = 512
_CHUNK = 16 * 1024 * 1024


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


def copy_file(source: str, target: str) -> None:
    """Copy a file with its time and its holes, so that every user can read it, and its owner alone write to it (Linux).

    A pipe, device or socket is left out.
    """
    if not stat.S_ISREG(os.lstat(source).st_mode):
        return
    reader = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        status = os.fstat(reader)
        writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            if status.st_blocks * _BLOCK < status.st_size:
                _copy_with_holes(reader, writer, status.st_size)
            else:
                while os.sendfile(writer, reader, None, _CHUNK):
                    pass
            os.fchmod(writer, 0o755 if status.st_mode & stat.S_IXUSR else 0o644)  # git, too, knows only these two
            os.utime(writer, ns=(status.st_atime_ns, status.st_mtime_ns))
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def _copy_with_holes(reader: int, writer: int, size: int) -> None:
    end = 0
    while True:
        try:
            start = os.lseek(reader, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # there is only a hole left
                break
            raise
        end = os.lseek(reader, start, os.SEEK_HOLE)
        os.lseek(writer, start, os.SEEK_SET)
        while start < end and (sent := os.sendfile(writer, reader, start, min(end - start, _CHUNK))):
            start += sent
    os.ftruncate(writer, size)
