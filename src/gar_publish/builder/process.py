"""Run programs, and show their output."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, cast

Show = Callable[[str], None]

LONGEST_LINE = 64 * 1024
AFTERWARDS = 1
"""Seconds to read the rest of the output after the end of a program. A daemon may keep it open."""

_MOST_OUTPUT = 1_000_000  # characters of the output of one project that are kept until they are shown
_LINE_SIZE = 50  # what a line takes beside its characters
_MOST_LINES = 20  # that wait to be shown; a program that writes faster is blocked


class Running(ABC):
    """A process with its own process group, and its output. Those of another user are ended by the keeper instead."""

    def __init__(self, output: IO[bytes]) -> None:
        self._output = output
        self._is_read = False

    @abstractmethod
    def wait(self) -> int:
        """Wait for its end, kill what is left of its group, and return its exit code. Threads may share this."""

    @abstractmethod
    def end(self) -> None:
        """Kill it and its process group, unless it has ended."""

    def lines(self) -> Iterator[str]:
        """Yield its output until it ends, even if a process that it started keeps the output open."""
        lines: queue.Queue[str | None] = queue.Queue(_MOST_LINES)
        reader = threading.Thread(target=self._read, args=(lines,), daemon=True)
        reader.start()

        def watch() -> None:
            try:
                self.wait()
                reader.join(timeout=AFTERWARDS)
            finally:
                lines.put(None)

        threading.Thread(target=watch, daemon=True).start()
        yield from iter(lines.get, None)
        self._is_read = True
        with contextlib.suppress(queue.Empty):  # so that the reader goes on, and sees that nothing more is read
            lines.get_nowait()

    def _read(self, lines: "queue.Queue[str | None]") -> None:
        with self._output:
            while not self._is_read and (line := self._output.readline(LONGEST_LINE)):
                lines.put(line.decode(errors="replace").rstrip("\r\n"))


class Program(Running):
    """A program that was started, with these variables alone.

    A trusted one writes files that other users can read, and inherits the lock of `folder_for_builds`.

    Raises:
        OSError: It could not be started.
    """

    def __init__(
        self, command: Sequence[str | Path], *, cwd: Path, environment: Mapping[str, str], is_trusted: bool = False
    ) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=0o022 if is_trusted else -1,
            close_fds=not is_trusted,
        )
        super().__init__(cast("IO[bytes]", self._process.stdout))

    def wait(self) -> int:
        if sys.platform == "linux":
            with contextlib.suppress(ChildProcessError):  # another thread was first
                # Until it is reaped, nothing else gets its id.
                os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        else:
            self._process.wait()
        self.end()
        with self._lock:
            return self._process.wait()

    def end(self) -> None:
        with self._lock, contextlib.suppress(ProcessLookupError, PermissionError):
            if self._process.returncode is None:
                if sys.platform == "win32":
                    self._process.terminate()
                else:
                    os.killpg(self._process.pid, signal.SIGKILL)


class Tail:
    """The last lines of an output, up to a bound in memory."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque()
        self._size = 0

    def add(self, line: str) -> None:
        self.lines.append(line)
        self._size += len(line) + _LINE_SIZE
        while self._size > _MOST_OUTPUT:
            self._size -= len(self.lines.popleft()) + _LINE_SIZE


class Works:
    """Everything that runs for the builds of a run; one call ends it all, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[Running] = set()
        self._stopped = False

    def follow(
        self, running: Running, show: Show, *, seconds: float = 0, end: Callable[[], None] | None = None
    ) -> None:
        """Show the output of something just started until it ends.

        Args:
            running: What was started.
            show: Called with each line.
            seconds: The time after which it is ended; 0 for no limit.
            end: Ends it then; None if it can be ended as it is.

        Raises:
            subprocess.CalledProcessError: The exit code is not 0.
            subprocess.TimeoutExpired: It was ended, because it took too long.
        """
        is_late = threading.Event()

        def stop() -> None:
            is_late.set()
            (end or running.end)()

        timer = threading.Timer(seconds, stop)
        timer.daemon = True
        if seconds:
            timer.start()
        with self._lock:
            self._running.add(running)
            stopped = self._stopped
        if stopped:
            running.end()
        try:
            for line in running.lines():
                show(line)
        finally:
            timer.cancel()
            running.end()
            code = running.wait()
            with self._lock:
                self._running.discard(running)
        if code and is_late.is_set():
            raise subprocess.TimeoutExpired("a build's program", seconds)
        if code:
            raise subprocess.CalledProcessError(code, "a build's program")

    def stop(self) -> None:
        """End everything that runs, and whatever is followed later."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for each in running:
            each.end()
