"""Running other people's programs: as which user, what they print, and that nothing of them stays behind."""

import contextlib
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

Show = Callable[[str], None]

LONGEST_LINE = 64 * 1024
AFTERWARDS = 1
"""Seconds that what has ended already may take to be read."""

_MOST_LINES = 1000
"""Lines that wait to be shown; a program that writes faster has to wait."""
_MOST_ROUNDS = 1000
_ENTER = "import os, sys; os.chdir(sys.argv[1]); os.execvp(sys.argv[2], sys.argv[2:])"


class User(NamedTuple):
    """A user of the operating system who may do nothing."""

    uid: int
    gid: int


class Running(Protocol):
    """Something that runs."""

    def end(self) -> None:
        """Kill it, together with what is still in its process group."""


class Work(Running, Protocol):
    """Something that runs to an end, and prints."""

    def lines(self) -> Iterator[str]:
        """What it prints, until it ends; not until its output ends, which a daemon that it left could hold open."""

    def wait(self) -> int:
        """Wait for its end, and return its exit code. Any thread may, as often as it likes."""


class Program:
    """A program that runs.

    Args:
        command: The program and its arguments.
        cwd: Where.
        environment: All of its variables.
        user: As whom; None is the user of this process.
        more: For `subprocess.Popen`.

    Raises:
        OSError: It could not be started.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        user: User | None,
        **more: Any,
    ) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **(more | as_user(user)),
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def lines(self) -> Iterator[str]:
        lines: queue.Queue[str | None] = queue.Queue(_MOST_LINES)
        reader = threading.Thread(target=_read, args=(self._process.stdout, lines), daemon=True)
        reader.start()

        def watch() -> None:
            try:
                self.wait()
                self.end()
                reader.join(timeout=AFTERWARDS)
            finally:
                lines.put(None)

        threading.Thread(target=watch, daemon=True).start()
        yield from iter(lines.get, None)

    def wait(self) -> int:
        return self._process.wait()

    def end(self) -> None:
        if sys.platform == "win32":
            self._process.kill()
        else:
            end_group(self.pid)


class Works:
    """All that runs for a build, so that one call ends it from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[Running] = set()
        self._stopped = False

    def add(self, running: Running) -> None:
        """Count it in, until it is discarded."""
        with self._lock:
            self._running.add(running)
            stopped = self._stopped
        if stopped:
            running.end()

    def discard(self, running: Running) -> None:
        with self._lock:
            self._running.discard(running)

    def follow(self, work: Work, show: Show) -> None:
        """See it to its end, and end what it left running.

        Args:
            work: What was started a moment ago.
            show: Is given each line that it writes, as it comes.

        Raises:
            subprocess.CalledProcessError: It failed.
        """
        self.add(work)
        try:
            for line in work.lines():
                show(line)
        finally:
            work.end()
            code = work.wait()
            self.discard(work)
        if code:
            raise subprocess.CalledProcessError(code, "a build's program")

    def stop(self) -> None:
        """End all that runs, and let nothing run any more."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for each in running:
            each.end()


def entering(folder: Path, command: Sequence[str | Path]) -> Sequence[str | Path]:
    """The command, started in a folder that is entered with the rights of the user who runs it.

    So a link in the folder's place leads no further than they do.
    """
    return [sys.executable, "-I", "-c", _ENTER, folder, *command]


def as_user(user: User | None) -> dict[str, Any]:
    """What `subprocess` needs to know to run a program as a user."""
    if user is None:
        return {}
    return {"user": user.uid, "group": user.gid, "extra_groups": [], "umask": 0o022}


def _read(stream: IO[bytes], lines: "queue.Queue[str | None]") -> None:
    with stream:
        while line := stream.readline(LONGEST_LINE):
            lines.put(readable(line))


def readable(line: bytes) -> str:
    """A line of output without its end."""
    return line.decode(errors="replace").rstrip("\r\n")


def end_group(pid: int) -> None:
    """Kill the process group that a process leads."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def end_all_of(user: User) -> None:
    """Kill every process of a user, in one call that none can outrun by forking (`man 2 kill`)."""
    killer = ["/bin/sh", "-c", "kill -s KILL -- -1"]  # it fails where there is nothing to kill
    subprocess.run(killer, cwd="/", env={}, stderr=subprocess.DEVNULL, check=False, **as_user(user))


def end_stragglers(user: User, *, spare: Collection[int] = ()) -> None:
    """Kill what left its process group to outlive a program (Linux).

    Whose parent is gone becomes a child of this process, the "subreaper" (`man 2 prctl`); so do the children of what
    is killed here, in their turn.

    Args:
        user: Whose processes.
        spare: Children of this process to leave alone.
    """
    for _ in range(_MOST_ROUNDS):
        stragglers = [pid for pid in _children_of_this_process(user.uid) if pid not in spare]
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
