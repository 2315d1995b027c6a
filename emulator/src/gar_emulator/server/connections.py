"""The emulator's ports and connections: uvicorn's server, which stops at once, and can refuse and reset."""

import asyncio
import contextlib
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
"""Seconds that running requests have to finish when the emulator stops."""

STEPS_OF_ACCEPTING = 2
"""Steps of the event loop from asyncio's accepting a connection to `connection_made`: a task, and what that calls."""

CLOCK_POLL = 0.005
"""Real seconds between two looks at the clock, which may be a virtual one, while a port refuses."""


class Server(uvicorn.Server):
    """Serves on some sockets, and stops as soon as it is told to: uvicorn's own looks ten times a second.

    Args:
        listening: Bound sockets, which the server closes.
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
            ssl_context_factory=(lambda *_: tls) if tls else None,
            reset_contextvars=True,  # else one request's clock skew is the next one's
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
        """Refuse connections for a time; those that are open end, at the latest with the answer they wait for.

        The ports stay bound meanwhile, so that nobody else gets them: a bound port on which nobody listens refuses.
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
        """Close them, but not before each connection that was accepted has its transport: asyncio would lose it."""
        with contextlib.suppress(NotImplementedError):  # Windows' event loop accepts in one step
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

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - those of the start
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
        await asyncio.sleep(0)  # in which they are closed


def listen(hosts: Sequence[str], port: int) -> tuple[list[socket.socket], int]:
    """Sockets for all addresses, on one port.

    Raises:
        EmulatorError: An address or the port cannot be had.
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
                fix="choose another port with --port, or 0 for any free one",
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
