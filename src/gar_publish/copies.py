"""Copy the files of a checkout (Linux). This is also a script, which copies a part of many files:

    python -I -S copies.py

Its standard input has the paths of sources and targets in turn, with a NUL between them.
"""

import errno
import os
import stat
import sys
from collections.abc import Sequence

# subprocess is imported where it is used: the script starts in a third of the time without it.

_BLOCK = 512
_CHUNK = 16 * 1024 * 1024
_WORTH_A_PROCESS = 1000
"""The start of a process takes as long as to copy half of these files."""


def copy_files(files: Sequence[tuple[str, str]]) -> None:
    """Copy files to new ones, many of them in several processes: threads would wait for each other.

    Raises:
        OSError: One could not be copied.
    """
    import subprocess
    from contextlib import ExitStack

    processes = min(os.cpu_count() or 1, len(files) // _WORTH_A_PROCESS + 1)
    size = len(files) // processes + 1
    with ExitStack() as stack:
        helpers: list[subprocess.Popen[bytes]] = []
        for at in range(size, len(files), size):
            paths = stack.enter_context(os.fdopen(os.memfd_create("paths"), "w+b"))
            paths.write(b"\0".join(os.fsencode(path) for pair in files[at : at + size] for path in pair))
            paths.seek(0)
            command = [sys.executable, "-I", "-S", __file__]
            helper = subprocess.Popen(command, cwd="/", env={}, stdin=paths, stderr=subprocess.PIPE)
            helpers.append(stack.enter_context(helper))
        for source, target in files[:size]:
            copy_file(source, target)
        for helper in helpers:
            _, output = helper.communicate()
            if helper.returncode:
                raise OSError(output.decode(errors="replace").strip().rpartition("\n")[2] or "The copying was ended")


def copy_file(source: str | bytes, target: str | bytes) -> None:
    """Copy a file with its time and its holes, so that every user can read it, and its owner alone write to it.

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


def main() -> None:
    paths = sys.stdin.buffer.read().split(b"\0")
    for source, target in zip(paths[::2], paths[1::2], strict=True):
        copy_file(source, target)


if __name__ == "__main__":
    main()
