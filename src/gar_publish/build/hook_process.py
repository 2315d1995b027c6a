"""A process that calls hooks in an environment (`server.py` runs in it), and what comes of each call."""

import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import IO

from gar_publish.build import server
from gar_publish.build.environment import Environment
from gar_publish.build.process import Show, as_user, end_group
from gar_publish.build.sandbox import HOOK_SCRIPT, SERVER_SCRIPT, Sandbox


class HookProcess:
    """The process of `server.py` (`gar_publish.build.sandbox.Keeper`).

    Args:
        sandbox: As whom it runs, and with which variables.
        environment: Where the backend is installed.
        backend: What it imports once and forks for each call; with none it makes all calls itself.
        sample: The folder of a call that builds a project for nothing, to learn what else is imported on the way.
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
        self._works = sandbox.works
        self._forks = bool(backend)
        self._ready = False
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
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
        self.pid = self._process.pid
        self._works.add(self)

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def wait(self) -> None:
        """Wait until it has imported its backend."""
        self._ready = self._ready or bool(self._channel.recv(16))

    def call(self, folder: Path, show: Show) -> None:
        """Call a hook, and see it to its end.

        Raises:
            subprocess.CalledProcessError: It failed.
            OSError: The process is gone.
        """
        reader, writer = os.pipe()
        output = os.fdopen(reader, "rb")
        try:
            try:
                socket.send_fds(self._channel, [str(folder).encode()], [writer])
            finally:
                os.close(writer)
            self.wait()
            call = _Call(self._channel, self._process, output, forked=self._forks)
        except OSError:
            output.close()
            raise
        # Who reads the output closes it: here, that would wait for as long as a daemon holds the other end open.
        self._works.follow(call, show)

    def sweep(self) -> bool:
        """Have it kill every other process of its user; false where it is gone itself."""
        try:
            self.wait()
            self._channel.send(server.SWEEP.encode())
            return bool(self._channel.recv(16))
        except OSError:
            return False

    def end(self) -> None:
        end_group(self.pid)

    def close(self) -> None:
        self.end()
        self._process.wait()
        self._channel.close()
        self._works.discard(self)


class _Call:
    """A hook that runs (`gar_publish.build.process.Work`)."""

    def __init__(
        self, channel: socket.socket, process: "subprocess.Popen[bytes]", output: IO[bytes], *, forked: bool
    ) -> None:
        self.output = output
        self._channel = channel
        self._process = process
        self._forked = forked
        self._lock = Lock()
        self._code: int | None = None
        self._pid = int(channel.recv(16) or process.pid)

    def wait(self) -> int:
        with self._lock:
            if self._code is None:
                answer = self._channel.recv(16)
                self._code = int(answer) if answer else self._process.wait()
            return self._code

    def end(self) -> None:
        if self._forked or self._code is None:  # else the process waits for its next call
            end_group(self._pid)
