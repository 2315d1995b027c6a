"""Running other people's programs: as which user, what they print, and that nothing of them stays behind."""

import contextlib
import ctypes
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

Show = Callable[[str], None]

_LONGEST_LINE = 64 * 1024
_MOST_LINES = 1000
"""Lines that wait to be shown; a program that writes faster has to wait."""
_MOST_ROUNDS = 1000
_ENTER = "import os, sys; os.chdir(sys.argv[1]); os.execvp(sys.argv[2], sys.argv[2:])"
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36


class User(NamedTuple):
    """A user of the operating system who may do nothing."""

    uid: int
    gid: int


def run(
    command: Sequence[str | Path], *, cwd: Path, environment: Mapping[str, str], user: User | None, show: Show
) -> None:
    """Run a program to its end, then end what it left running.

    Args:
        command: The program and its arguments.
        cwd: Where.
        environment: All of its variables.
        user: As whom; None is the user of this process.
        show: Is given each line that the program writes, as it comes.

    Raises:
        subprocess.CalledProcessError: The program failed.
        OSError: It could not be started.
    """
    if user is not None:
        # The folder is entered with the user's own rights: a link in its place leads no further than they do.
        command, cwd = [sys.executable, "-I", "-c", _ENTER, cwd, *command], Path("/")
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        **as_user(user),
    )
    try:
        for line in _lines(process):
            show(line)
        process.wait()
    finally:
        _end(process)
        process.wait()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)


def as_user(user: User | None) -> dict[str, Any]:
    """What `subprocess` needs to know to run a program as a user."""
    if user is None:
        return {}
    return {"user": user.uid, "group": user.gid, "extra_groups": [], "umask": 0o022}


def hide_this_process() -> None:
    """Keep processes of the same user from reading this one's memory and environment (Linux; else nothing).

    Source: `man 2 prctl`, PR_SET_DUMPABLE. A started program is readable again, so this holds for gar-publish
        alone.
    """
    _prctl(_PR_SET_DUMPABLE, 0)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def adopt_orphans() -> None:
    """Become the parent of whatever a child leaves running (Linux: `man 2 prctl`, PR_SET_CHILD_SUBREAPER)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _lines(process: subprocess.Popen[bytes]) -> Iterator[str]:
    """What a program writes, until it ends; not until its output ends, which a daemon that it left could hold open."""
    stream = cast("IO[bytes]", process.stdout)
    lines: queue.Queue[str | None] = queue.Queue(_MOST_LINES)
    reader = threading.Thread(target=_read, args=(stream, lines), daemon=True)
    reader.start()

    def watch() -> None:
        process.wait()
        _end(process)
        reader.join(timeout=1)
        lines.put(None)

    threading.Thread(target=watch, daemon=True).start()
    yield from iter(lines.get, None)


def _read(stream: IO[bytes], lines: "queue.Queue[str | None]") -> None:
    with stream:
        while line := stream.readline(_LONGEST_LINE):
            lines.put(line.decode(errors="replace").rstrip("\r\n"))


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a program together with everything that is still in its process group."""
    if sys.platform == "win32":
        process.kill()
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def end_stragglers(user: User, *, alone: bool) -> None:
    """Kill what left its process group to outlive a program (Linux).

    Whose parent is gone becomes a child of this process, the "subreaper" (`man 2 prctl`); so do the children of what
    is killed here, in their turn.

    Args:
        user: Whose processes.
        alone: Whether nobody else runs anything as that user, as in a container of our own. Then all of its processes
            are killed in one call, which none can outrun by forking (`man 2 kill`).
    """
    if alone:
        killer = ["/bin/sh", "-c", "kill -s KILL -- -1"]  # it fails where there is nothing to kill
        subprocess.run(killer, cwd="/", env={}, stderr=subprocess.DEVNULL, check=False, **as_user(user))
    for _ in range(_MOST_ROUNDS):
        stragglers = list(_children_of_this_process(user.uid))
        if not stragglers:
            break
        for pid in stragglers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _children_of_this_process(uid: int) -> Iterator[int]:
    ours = re.compile(rb"^PPid:\t%d\n(?:.*\n)*?Uid:\t%d\t" % (os.getpid(), uid), re.MULTILINE)
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            if ours.search(status.read_bytes()):
                yield int(status.parent.name)
