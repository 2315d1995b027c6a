"""A process that calls hooks in an environment (`server.py` runs in it), and what comes of each call."""

import contextlib
import json
import os
import select
import socket
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from threading import Lock
from types import MappingProxyType
from typing import IO

from gar_publish.build import server
from gar_publish.build.environment import Environment
from gar_publish.build.process import Show, Works, as_user, end_group
from gar_publish.build.sandbox import HOOK_SCRIPT, SERVER_SCRIPT, Sandbox

_TICK = 0.2


class Serving(ABC):
    """A process that calls hooks, one after the other.

    Args:
        pid: Its number.
        channel: What it is told through.
        works: What it is counted among.
    """

    def __init__(self, pid: int, channel: socket.socket, works: Works) -> None:
        self.pid = pid
        self._channel = channel
        self._works = works
        works.add(self)

    def call(self, call: server.Call, show: Show) -> None:
        """Make a call, and see it to its end.

        Raises:
            subprocess.CalledProcessError: It failed.
            OSError: The process is gone.
        """
        reader, writer = os.pipe()
        output = os.fdopen(reader, "rb")
        try:
            try:
                with _unnamed_file() as file:
                    json.dump(call, file)
                    file.seek(0)
                    socket.send_fds(self._channel, [server.CALL], [file.fileno(), writer])
            finally:
                os.close(writer)
            self.wait()
        except OSError:
            output.close()
            raise
        # Who reads the output closes it: here, that would wait for as long as a daemon holds the other end open.
        self._works.follow(_Call(self, output), show)

    def outcome(self) -> int:
        """The exit code of what it waits for, a call or a fork; its own where it ends first or talks nonsense.

        The channel's end alone would be no sign of the process's: a daemon may hold it open.
        """
        ended = False
        while not ended and not _can_be_read(self._channel, _TICK):
            ended = self.has_ended()
        with contextlib.suppress(OSError, ValueError):
            if _can_be_read(self._channel):
                return int(self._channel.recv(16))
        self.end()
        return self.exit_code()

    def end(self) -> None:
        end_group(self.pid)

    def close(self) -> None:
        self.end()
        self._channel.close()  # a fork that is not yet a group of its own ends by that
        self.exit_code()
        self._works.discard(self)

    @abstractmethod
    def has_ended(self) -> bool:
        """Whether it makes no calls any more."""

    @abstractmethod
    def wait(self) -> None:
        """Wait until it can make calls."""

    @abstractmethod
    def exit_code(self) -> int:
        """Wait for its end."""


class HookProcess(Serving):
    """The process of `server.py` (`gar_publish.build.sandbox.Keeper`).

    Args:
        sandbox: As whom it runs, and with which variables.
        environment: Where the backend is installed.
        backend: What it imports at once, for its forks.
        sample: The file of a call that builds a project for nothing, to learn what else is imported on the way.
        given: Variables on top of the sandbox's own.

    Raises:
        OSError: It could not be started.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        environment: Environment,
        backend: str = "",
        sample: str = "",
        given: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._ready = False
        channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        hide = "hide" if sandbox.user else ""
        with theirs:
            orders = server.Orders(str(theirs.fileno()), str(HOOK_SCRIPT), backend, sample, hide)
            self._process = subprocess.Popen(
                [environment.python_executable, "-P", SERVER_SCRIPT, *orders],
                cwd="/",
                env={**sandbox.variables, **environment.make_extra_environ(), **given},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=[theirs.fileno()],
                **as_user(sandbox.user),
            )
        super().__init__(self._process.pid, channel, sandbox.works)

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def wait(self) -> None:
        self._ready = self._ready or bool(self._channel.recv(16))

    def exit_code(self) -> int:
        return self._process.wait()

    def fork(self) -> "Fork":
        """Another process that has imported what this one has. Until it is closed, this one can be asked nothing else.

        Raises:
            OSError: The process is gone.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            socket.send_fds(self._channel, [server.FORK], [theirs.fileno()])
        self.wait()
        pid = self._channel.recv(16)
        if not pid:
            ours.close()
            raise ConnectionAbortedError("the process is gone")
        return Fork(int(pid), ours, self._works, parent=self)

    def sweep(self) -> bool:
        """Have it kill every other process of its user, while it has no fork; false where it has ended itself."""
        with contextlib.suppress(OSError):
            self.wait()
            self._channel.send(server.SWEEP)
            if self._channel.recv(16):
                return True
        self.end()
        self.exit_code()  # or it might pass for alive a moment longer
        return False


class Fork(Serving):
    """What `HookProcess.fork` makes."""

    def __init__(self, pid: int, channel: socket.socket, works: Works, *, parent: HookProcess) -> None:
        self._parent = parent
        self._code: int | None = None
        super().__init__(pid, channel, works)

    def has_ended(self) -> bool:
        return _can_be_read(self._parent._channel)  # noqa: SLF001 - they are of one family

    def wait(self) -> None:
        """It can at once."""

    def exit_code(self) -> int:
        if self._code is None:
            self._code = self._parent.outcome()
        return self._code


class _Call:
    """A hook that runs (`gar_publish.build.process.Work`)."""

    def __init__(self, process: Serving, output: IO[bytes]) -> None:
        self.output = output
        self._process = process
        self._lock = Lock()
        self._code: int | None = None

    def wait(self) -> int:
        with self._lock:
            if self._code is None:
                self._code = self._process.outcome()
            return self._code

    def end(self) -> None:
        if self._code is None:  # else the process waits for its next call
            self._process.end()


def _unnamed_file() -> IO[str]:
    if hasattr(os, "memfd_create"):  # many builds of Python lack it
        return os.fdopen(os.memfd_create("call"), "w+", encoding="utf-8")
    return tempfile.TemporaryFile("w+", encoding="utf-8")


def _can_be_read(channel: socket.socket, seconds: float = 0) -> bool:
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    return bool(poll.poll(1000 * seconds))
