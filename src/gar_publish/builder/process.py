"""Run untrusted programs: as another user, with their output, and without leaving a process behind."""

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
"""Seconds to read the rest of the output after the end of a program."""

_MOST_LINES = 1000
"""Lines that may wait to be shown; a program that writes faster is blocked."""
_MOST_ROUNDS = 1000
_ENTER = "import os, sys; os.chdir(sys.argv[1]); os.execvp(sys.argv[2], sys.argv[2:])"


class User(NamedTuple):
    """An unprivileged user of the operating system."""

    uid: int
    gid: int


class Running(Protocol):
    """A running process, or a call inside one."""

    def end(self) -> None:
        """Kill it and its process group."""


class Work(Running, Protocol):
    """Something that prints, and ends."""

    def lines(self) -> Iterator[str]:
        """Yield its output until it ends, even if a daemon that it started keeps the output open."""

    def wait(self) -> int:
        """Wait for its end, and return its exit code. Any thread may call this, more than once."""


class Program:
    """A running program.

    Args:
        command: The program and its arguments.
        cwd: Its working directory.
        environment: All of its variables.
        user: The user who runs it; None for the user of this process.
        more: Other arguments of `subprocess.Popen`.

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
    """Everything that runs for the builds of a run; one call ends it all, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[Running] = set()
        self._stopped = False

    def add(self, running: Running) -> None:
        """Add something that runs; `stop` ends it unless it was discarded before."""
        with self._lock:
            self._running.add(running)
            stopped = self._stopped
        if stopped:
            running.end()

    def discard(self, running: Running) -> None:
        with self._lock:
            self._running.discard(running)

    def follow(self, work: Work, show: Show) -> None:
        """Wait for the end of something just started, then kill its process group.

        Args:
            work: What was just started.
            show: Gets each line of output as it comes.

        Raises:
            subprocess.CalledProcessError: The exit code is not 0.
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
        """End everything that runs, and whatever is added later."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for each in running:
            each.end()


def entering(folder: Path, command: Sequence[str | Path]) -> Sequence[str | Path]:
    """Return a command that enters the folder with the rights of its own user.

    So a link in place of the folder leads only to what that user may enter.
    """
    return [sys.executable, "-I", "-c", _ENTER, folder, *command]


def as_user(user: User | None) -> dict[str, Any]:
    """Return the arguments of `subprocess` that run a program as a user."""
    if user is None:
        return {}
    return {"user": user.uid, "group": user.gid, "extra_groups": [], "umask": 0o022}


def _read(stream: IO[bytes], lines: "queue.Queue[str | None]") -> None:
    with stream:
        while line := stream.readline(LONGEST_LINE):
            lines.put(readable(line))


def readable(line: bytes) -> str:
    """Return a line of output as text, without its line end."""
    return line.decode(errors="replace").rstrip("\r\n")


def end_group(pid: int) -> None:
    """Kill the process group that a process leads."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def end_all_of(user: User) -> None:
    """Kill all processes of a user in one call, which none can escape by forking (`man 2 kill`)."""
    killer = ["/bin/sh", "-c", "kill -s KILL -- -1"]  # it fails if there is nothing to kill
    subprocess.run(killer, cwd="/", env={}, stderr=subprocess.DEVNULL, check=False, **as_user(user))


def end_stragglers(user: User, *, spare: Collection[int] = ()) -> None:
    """Kill the processes that left the process group of a program to outlive it (Linux).

    A process whose parent has ended becomes a child of this process, the "subreaper" (`man 2 prctl`). So do the
    children of each process that is killed here.

    Args:
        user: The user of the processes.
        spare: Process ids not to kill.
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
