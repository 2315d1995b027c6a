"""Processes that run `hook_server.py` in a build environment, and calls of hooks in them."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO

from gar_publish.builder import hook_server
from gar_publish.builder.process import AFTERWARDS, LONGEST_LINE, Show, Works, as_user, end_group, readable
from gar_publish.builder.sandbox import HOOK_SCRIPT, SERVER_SCRIPT, Sandbox

_TICK = 0.2
_NOTHING: Mapping[str, str] = MappingProxyType({})


class HookCall:
    """A running hook (`gar_publish.builder.process.Work`).

    Args:
        process: The process that it runs in.
        output: Its unbuffered output.
    """

    def __init__(self, process: "Serving", output: IO[bytes]) -> None:
        self._process = process
        self._output = output
        self._code: int | None = None

    def lines(self) -> Iterator[str]:
        # One thread waits for both descriptors: with a thread for each, small builds take longer.
        output, channel = self._output.fileno(), self._process.channel.fileno()
        poll = select.poll()
        poll.register(output, select.POLLIN)
        poll.register(channel, select.POLLIN)
        line, until = b"", float("inf")
        with self._output:
            while time.monotonic() < until:
                ready = {descriptor for descriptor, _ in poll.poll(1000 * _TICK)}
                if output in ready:
                    piece = self._output.read(LONGEST_LINE)
                    if not piece:
                        break
                    *lines, line = (line + piece).split(b"\n")
                    yield from map(readable, lines)
                    if len(line) > LONGEST_LINE:
                        yield readable(line)
                        line = b""
                if until == float("inf") and (channel in ready or self._process.has_ended()):
                    poll.unregister(channel)
                    until = time.monotonic() + AFTERWARDS
        if line:
            yield readable(line)
        self.wait()

    def wait(self) -> int:
        if self._code is None:
            self._code = self._process.outcome()
        return self._code

    def end(self) -> None:
        if self._code is None:  # otherwise the process waits for its next call
            self._process.end()


class Serving(ABC):
    """A process that calls hooks, one after the other.

    Args:
        pid: Its process id.
        channel: The socket for orders and answers.
        works: The running work that this process is added to.
    """

    def __init__(self, pid: int, channel: socket.socket, works: Works) -> None:
        self.pid = pid
        self.channel = channel
        self._works = works
        works.add(self)

    def call(self, call: hook_server.Call, show: Show) -> None:
        """Call a hook, and wait for its end.

        Raises:
            subprocess.CalledProcessError: The hook failed.
            OSError: The process has ended.
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
        # HookCall closes the output: closing it here would wait for a daemon that keeps the other end open.
        self._works.follow(HookCall(self, output), show)

    def outcome(self) -> int:
        """Return the exit code of the running call or fork; the process's own if it ends first or answers nonsense.

        A closed channel is not enough to know that the process has ended: a daemon may keep the channel open.
        """
        ended = False
        while not ended and not _can_be_read(self.channel, _TICK):
            ended = self.has_ended()
        with contextlib.suppress(OSError, ValueError):
            if _can_be_read(self.channel):
                return int(self.channel.recv(16))
        self.end()
        return self.exit_code()

    def end(self) -> None:
        end_group(self.pid)

    def close(self) -> None:
        self.end()
        self.channel.close()  # this ends a fork that is not yet a process group of its own
        self.exit_code()
        self._works.discard(self)

    @abstractmethod
    def has_ended(self) -> bool:
        """Return whether the process can make no more calls."""

    @abstractmethod
    def wait(self) -> None:
        """Wait until the process can make calls."""

    @abstractmethod
    def exit_code(self) -> int:
        """Wait for the end of the process."""


class Forking(Serving):
    """A process that can fork (`gar_publish.builder.sandbox.Keeper`)."""

    def fork(self) -> "Fork":
        """Return a fork of this process, with the same imports. Until it is closed, this process takes no other order.

        Raises:
            OSError: The process has ended.
        """
        return Fork(*self._forked(hook_server.FORK), self._works, parent=self)

    def sweep(self) -> bool:
        """Let it kill every other process of its user, while it has no fork. Return false if it has ended itself."""
        with contextlib.suppress(OSError):
            self.wait()
            self.channel.send(hook_server.SWEEP)
            if self.channel.recv(16):
                return True
        self.end()
        self.exit_code()  # otherwise it may seem alive for a moment
        return False

    def _forked(self, order: bytes) -> tuple[int, socket.socket]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            socket.send_fds(self.channel, [order], [theirs.fileno()])
        self.wait()
        pid = self.channel.recv(16)
        if not pid:
            ours.close()
            raise ConnectionAbortedError("the process has ended")
        return int(pid), ours


class HookProcess(Forking):
    """A process of `hook_server.py`. It waits for `begin`.

    Args:
        sandbox: Decides its user and its variables.
        python: The Python of a build environment.
        variables: Variables on top of the sandbox's.

    Raises:
        OSError: It could not be started.
    """

    def __init__(self, sandbox: Sandbox, python: str, variables: Mapping[str, str]) -> None:
        self._ready = False
        channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            arguments = (str(theirs.fileno()), HOOK_SCRIPT, "hide" if sandbox.user else "")
            self._process = subprocess.Popen(
                [python, "-P", SERVER_SCRIPT, *arguments],
                cwd="/",
                env={**sandbox.variables, **variables},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                pass_fds=[theirs.fileno()],
                **as_user(sandbox.user),
            )
        super().__init__(self._process.pid, channel, sandbox.works)

    def begin(
        self, backend: str = "", *, habits: str = "", sample: str = "", variables: Mapping[str, str] = _NOTHING
    ) -> "HookProcess":
        """Send its `gar_publish.builder.hook_server.Orders`.

        Raises:
            OSError: The process has ended.
        """
        orders: hook_server.Orders = {
            "backend": backend,
            "habits": habits,
            "sample": sample,
            "variables": dict(variables),
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
        """Return a fork of this process, with the same imports, that can itself be forked at the same time.

        Raises:
            OSError: The process has ended.
        """
        return Twin(*self._forked(hook_server.TWIN), self._works)


class Twin(Forking):
    """A process made by `HookProcess.twin`. No other process has its end of the channel."""

    def has_ended(self) -> bool:
        return _can_be_read(self.channel)

    def wait(self) -> None:
        """Return at once: it is ready."""

    def exit_code(self) -> int:
        return -signal.SIGKILL


class Fork(Serving):
    """A process made by `Forking.fork`."""

    def __init__(self, pid: int, channel: socket.socket, works: Works, *, parent: Forking) -> None:
        self._parent = parent
        self._code: int | None = None
        super().__init__(pid, channel, works)

    def has_ended(self) -> bool:
        return _can_be_read(self._parent.channel)

    def wait(self) -> None:
        """Return at once: it is ready."""

    def exit_code(self) -> int:
        if self._code is None:
            self._code = self._parent.outcome()
        return self._code


def call_of(hook: str, tree: Path, control: Path, environment: Mapping[str, str]) -> hook_server.Call:
    """Return a call as it is sent through a channel."""
    return {"hook": hook, "tree": str(tree), "control": str(control), "environment": dict(environment)}


def _unnamed_file() -> IO[str]:
    if hasattr(os, "memfd_create"):  # many builds of Python lack it
        return os.fdopen(os.memfd_create("call"), "w+", encoding="utf-8")
    return tempfile.TemporaryFile("w+", encoding="utf-8")


def _can_be_read(channel: socket.socket, seconds: float = 0) -> bool:
    """Return whether there is something to read, or the end of the channel, within this time."""
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    return bool(poll.poll(1000 * seconds))
