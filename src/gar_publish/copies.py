"""Copy the files of a checkout (Linux). This is also a script, which copies a part of many files:

    python -I -S copies.py

Its standard input has the paths of sources and targets in turn, with a NUL between them.
"""

import errno
import os
import stat
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

_BLOCK = 512
_CHUNK = 16 * 1024 * 1024
_WORTH_A_PROCESS = 1000
"""The start of a process takes as long as to copy half of these files."""
_MOST_PROCESSES = 4


def copy_files(files: Sequence[tuple[str, str]]) -> None:
    """Copy files to new ones, many of them in several processes: threads would wait for each other.

    Raises:
        OSError: One could not be copied.
    """
    from contextlib import ExitStack  # the script starts sooner without it

    processes = min(len(os.sched_getaffinity(0)), _MOST_PROCESSES, len(files) // _WORTH_A_PROCESS + 1)
    size = len(files) // processes + 1
    own, *others = [files[at : at + size] for at in range(0, len(files), size)] or [files]
    with ExitStack() as stack:
        helpers = [stack.enter_context(_started(each)) for each in others]
        for source, target in own:
            copy_file(source, target)
        for helper in helpers:
            _, output = helper.communicate()
            if helper.returncode:
                raise OSError(output.decode(errors="replace").strip() or "A process that copies files was ended")


def _started(files: Sequence[tuple[str, str]]) -> "subprocess.Popen[bytes]":
    import subprocess

    with os.fdopen(os.memfd_create("paths"), "w+b") as paths:
        paths.write(b"\0".join(os.fsencode(path) for pair in files for path in pair))
        paths.seek(0)
        return subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            cwd="/",
            env={},
            stdin=paths,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            close_fds=False,  # it inherits the lock of root's builds
        )


def copy_file(source: str, target: str) -> None:
    """Copy a file with its time and its holes, so that every user can read it, and its owner alone write to it.

    A link, pipe, device or socket is left out, as is a file that has gone since its folder was listed.
    """
    try:
        if not stat.S_ISREG(os.lstat(source).st_mode):
            return
        reader = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return
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


def main() -> None:
    paths = os.fsdecode(sys.stdin.buffer.read()).split("\0")
    try:
        for source, target in zip(paths[::2], paths[1::2], strict=True):
            copy_file(source, target)
    except OSError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
