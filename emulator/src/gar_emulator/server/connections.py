"""uvicorn's server, with ports that can refuse connections, and a fast stop."""

import asyncio
import contextlib
import errno
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp

from gar_emulator.errors import EmulatorError
from gar_emulator.faults.connection import Connection

STOP_TIMEOUT = 2
"""Seconds for running requests to finish when the emulator stops."""

MOST_HEADERS = 64 * 1024
"""Bytes of a request's headers, which include the long path of a redirected download."""

STEPS_OF_ACCEPTING = 2
"""Event loop iterations from accepting a connection to `connection_made`: a task, and the call that it schedules."""

CLOCK_POLL = 0.005
"""Real seconds between checks of the clock, which may be a virtual one, while ports refuse."""


class Server(uvicorn.Server):
    """A server that stops at once: uvicorn's own checks ten times a second.

    Args:
        app: The ASGI application.
        listening: Bound sockets. The server closes them.
        tls: The TLS context; None for plain HTTP.
        clock: Seconds since the epoch.
    """

    def __init__(
        self, app: ASGIApp, listening: list[socket.socket], tls: ssl.SSLContext | None, clock: Callable[[], float]
    ) -> None:
        config = uvicorn.Config(
            app,
            http=Connection,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=75,
            h11_max_incomplete_event_size=MOST_HEADERS,
            ssl_context_factory=(lambda *_: tls) if tls else None,
            reset_contextvars=True,  # or the clock skew of a request would apply to the next one
        )
        super().__init__(config)
        self._listening = listening
        self._clock = clock
        self._refusing_until = 0.0
        self._reopening: asyncio.Task[None] | None = None
        self._closing = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def run_until_stopped(self) -> None:
        try:
            await self.serve(self._listening)
        finally:
            close(self._listening)

    def stop(self) -> None:
        """Stop from another thread."""
        self.should_exit = True
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopping.set)

    async def refuse(self, seconds: float) -> None:
        """Refuse new connections for some seconds, and close the open ones after their current answer.

        The ports stay bound, so that no other program gets them. A port that is bound but not listening refuses.
        """
        self._refusing_until = max(self._refusing_until, self._clock() + seconds)
        async with self._closing:
            if (self._reopening is None or self._reopening.done()) and not self.should_exit:
                places = [(item.family, item.type, item.proto, item.getsockname()) for item in self._listening]
                await self._close_ports()
                self._listening = [bound(*place) for place in places]
                self._reopening = asyncio.get_running_loop().create_task(self._reopen())
        for connection in list(self.server_state.connections):
            connection.shutdown()

    async def _close_ports(self) -> None:
        """Close the ports, but only after each accepted connection has its transport, or asyncio would lose it."""
        with contextlib.suppress(NotImplementedError):  # on Windows, which accepts in one step
            for item in self._listening:
                asyncio.get_running_loop().remove_reader(item)
        for _ in range(STEPS_OF_ACCEPTING):
            await asyncio.sleep(0)
        for server in self.servers:
            server.close()
        close(self._listening)

    async def _reopen(self) -> None:
        while self._clock() < self._refusing_until:
            if self.should_exit:
                return
            await asyncio.sleep(CLOCK_POLL)
        await self.startup(self._listening)

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        if not self.should_exit:
            await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - the same as at the start
        async with self._closing:
            if self._reopening:
                await self._reopening
            await self._close_ports()
        deadline = time.monotonic() + STOP_TIMEOUT
        while (self.server_state.connections or self.server_state.tasks) and time.monotonic() < deadline:
            for connection in list(self.server_state.connections):
                cast("Connection", connection).stop()
            await asyncio.sleep(0.002)
        for task in self.server_state.tasks:
            task.cancel()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # lets the event loop close them


def listen(hosts: Sequence[str], port: int) -> tuple[list[socket.socket], int]:
    """Return a socket for each address, all on one port, and the port.

    Raises:
        EmulatorError: An address or the port is not available.
    """
    sockets: list[socket.socket] = []
    for host in hosts:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            sockets.append(bound(family, kind, protocol, address))
        except OSError as error:
            close(sockets)
            raise EmulatorError(
                f"The emulator cannot listen on {host}, port {port}: {error.strerror}.",
                fix="choose an address of this machine with `--host`, such as 127.0.0.1"
                if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL
                else "choose another port, or any free port with `--port 0`",
                anchor="emulator-port",
            ) from error
        port = sockets[-1].getsockname()[1]
    return sockets, port


def bound(family: int, kind: int, protocol: int, address: Any) -> socket.socket:
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
    except OSError:
        made.close()
        raise
    return made


def close(sockets: Iterable[socket.socket]) -> None:
    for item in sockets:
        item.close()
