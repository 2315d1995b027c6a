"""A process that calls hooks in an environment (`server.py` runs in it), and what comes of each call."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO

from gar_publish.builder import hook_server
from gar_publish.builder.environment import Environment
from gar_publish.builder.hook_call import HookCall, can_be_read
from gar_publish.builder.process import Show, Works, as_user, end_group
from gar_publish.builder.sandbox import HOOK_SCRIPT, SERVER_SCRIPT, Sandbox

_TICK = 0.2
_NOTHING: Mapping[str, str] = MappingProxyType({})


class Serving(ABC):
    """A process that calls hooks, one after the other.

    Args:
        pid: Its number.
        channel: What it is told through, and answers.
        works: What it is counted among.
    """

    def __init__(self, pid: int, channel: socket.socket, works: Works) -> None:
        self.pid = pid
        self.channel = channel
        self._works = works
        works.add(self)

    def call(self, call: hook_server.Call, show: Show) -> None:
        """Make a call, and see it to its end.

        Raises:
            subprocess.CalledProcessError: It failed.
            OSError: The process is gone.
        """
        reader, writer = os.pipe()
        output = os.fdopen(reader, "rb", buffering=0)
        try:
            try:
                with _unnamed_file() as file:
                    file.write(json.dumps(call))
                    file.seek(0)
                    socket.send_fds(self.channel, [hook_server.CALL], [file.fileno(), writer])
            finally:
                os.close(writer)
            self.wait()
        except OSError:
            output.close()
            raise
        # Who reads the output closes it: here, that would wait for as long as a daemon holds the other end open.
        self._works.follow(HookCall(self, output), show)

    def outcome(self) -> int:
        """The exit code of what it waits for, a call or a fork; its own where it ends first or talks nonsense.

        The channel's end alone would be no sign of the process's: a daemon may hold it open.
        """
        ended = False
        while not ended and not can_be_read(self.channel, _TICK):
            ended = self.has_ended()
        with contextlib.suppress(OSError, ValueError):
            if can_be_read(self.channel):
                return int(self.channel.recv(16))
        self.end()
        return self.exit_code()

    def end(self) -> None:
        end_group(self.pid)

    def close(self) -> None:
        self.end()
        self.channel.close()  # a fork that is not yet a group of its own ends by that
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


class Forking(Serving):
    """A process that can fork (`gar_publish.builder.sandbox.Keeper`)."""

    def fork(self) -> "Fork":
        """Another process that has imported what this one has. Until it is closed, this one can be asked nothing else.

        Raises:
            OSError: The process is gone.
        """
        return Fork(*self._forked(hook_server.FORK), self._works, parent=self)

    def sweep(self) -> bool:
        """Have it kill every other process of its user, while it has no fork; false where it has ended itself."""
        with contextlib.suppress(OSError):
            self.wait()
            self.channel.send(hook_server.SWEEP)
            if self.channel.recv(16):
                return True
        self.end()
        self.exit_code()  # or it might pass for alive a moment longer
        return False

    def _forked(self, order: bytes) -> tuple[int, socket.socket]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            socket.send_fds(self.channel, [order], [theirs.fileno()])
        self.wait()
        pid = self.channel.recv(16)
        if not pid:
            ours.close()
            raise ConnectionAbortedError("the process is gone")
        return int(pid), ours


class HookProcess(Forking):
    """The process of `server.py`. It waits for `begin`.

    Args:
        sandbox: As whom it runs, and with which variables.
        environment: Where backends are installed.
        early: Whether they are yet to be.

    Raises:
        OSError: It could not be started.
    """

    def __init__(self, sandbox: Sandbox, environment: Environment, *, early: bool = False) -> None:
        self._early = early
        self._ready = False
        channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            arguments = (str(theirs.fileno()), HOOK_SCRIPT, "hide" if sandbox.user else "")
            self._process = subprocess.Popen(
                [environment.python_executable, "-P", SERVER_SCRIPT, *arguments],
                cwd="/",
                env={**sandbox.variables, **environment.make_extra_environ()},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=[theirs.fileno()],
                **as_user(sandbox.user),
            )
        super().__init__(self._process.pid, channel, sandbox.works)

    @classmethod
    def of(cls, sandbox: Sandbox, environment: Environment) -> "HookProcess":
        """The one that was started while the environment was filled, the first time; a new one from then on.

        Raises:
            OSError: It could not be started.
        """
        while environment.started:
            with contextlib.suppress(IndexError):  # another thread has it
                process = environment.started.pop()
                if not process.has_ended():
                    return process
                process.close()
        return cls(sandbox, environment)

    def begin(
        self, backend: str = "", *, habits: str = "", sample: str = "", variables: Mapping[str, str] = _NOTHING
    ) -> "HookProcess":
        """Let it prepare to work.

        Args:
            backend: What it imports at once, for its forks.
            habits: A file (`gar_publish.builder.hook_server.Orders`).
            sample: Another.
            variables: On top of the sandbox's own.

        Raises:
            OSError: The process is gone.
        """
        orders: hook_server.Orders = {
            "backend": backend,
            "habits": habits,
            "sample": sample,
            "variables": dict(variables),
            "early": self._early,
        }
        self.channel.send(json.dumps(orders).encode())
        return self

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def wait(self) -> None:
        self._ready = self._ready or bool(self.channel.recv(16))

    def exit_code(self) -> int:
        return self._process.wait()

    def twin(self) -> "Twin":
        """Another process that has imported what this one has, and forks side by side with it.

        Raises:
            OSError: The process is gone.
        """
        return Twin(*self._forked(hook_server.TWIN), self._works)


class Twin(Forking):
    """What `HookProcess.twin` makes. Nobody else holds its end of the channel."""

    def has_ended(self) -> bool:
        return can_be_read(self.channel)

    def wait(self) -> None:
        """It can at once."""

    def exit_code(self) -> int:
        return -signal.SIGKILL


class Fork(Serving):
    """What `Forking.fork` makes."""

    def __init__(self, pid: int, channel: socket.socket, works: Works, *, parent: Forking) -> None:
        self._parent = parent
        self._code: int | None = None
        super().__init__(pid, channel, works)

    def has_ended(self) -> bool:
        return can_be_read(self._parent.channel)

    def wait(self) -> None:
        """It can at once."""

    def exit_code(self) -> int:
        if self._code is None:
            self._code = self._parent.outcome()
        return self._code


def call_of(hook: str, tree: Path, control: Path, environment: Mapping[str, str]) -> hook_server.Call:
    """A call, as it goes through a channel."""
    return {"hook": hook, "tree": str(tree), "control": str(control), "environment": dict(environment)}


def _unnamed_file() -> IO[str]:
    if hasattr(os, "memfd_create"):  # many builds of Python lack it
        return os.fdopen(os.memfd_create("call"), "w+", encoding="utf-8")
    return tempfile.TemporaryFile("w+", encoding="utf-8")
