"""Simulate a connection to a distant server: half a round trip each way, and a round trip to connect.

A separate process forwards the bytes. The kernel accepts a client at once, so bytes that the client sends within the
first round trip are delayed as if they were sent at its end. Bandwidth is not limited, and nothing is lost.
"""

import asyncio
import contextlib
import subprocess
import sys
from collections import deque
from types import TracebackType
from typing import Self

FAR = 0.08
"""Seconds of a round trip to another continent."""
NEAR = 0.01
"""Seconds of a round trip in the same region."""


class Link:
    """A slow connection to a port of this machine, while the context is open.

    Args:
        target: The port.
        round_trip: The seconds of a round trip.

    Attributes:
        port: The port to connect to, on this machine.
    """

    def __init__(self, target: int, round_trip: float) -> None:
        command = [sys.executable, "-m", "bench.link", str(target), str(round_trip)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = 0

    def __enter__(self) -> Self:
        assert self._process.stdout
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()  # it ends at the end of its input


async def _serve(target: int, round_trip: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Near(target, round_trip), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


class _End(asyncio.Protocol):
    """One end of a connection. After the delay, the other end writes the data, also the end of the stream.

    Attributes:
        transport: The transport to read from and write to.
        other: The other end.
        open_at: The time when the connection counts as established.
    """

    transport: asyncio.Transport
    other: "_End"
    open_at = 0.0

    def __init__(self, round_trip: float) -> None:
        self._round_trip = round_trip
        self._loop = asyncio.get_running_loop()
        self._delayed: deque[bytes] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._delayed.append(data)
        self._loop.call_at(max(self._loop.time(), self.open_at) + self._round_trip / 2, self._arrive)

    def eof_received(self) -> bool:
        self.data_received(b"")
        return True  # the other direction goes on

    def connection_lost(self, _error: Exception | None) -> None:
        self._loop.call_later(self._round_trip, self.other.transport.close)

    def _arrive(self) -> None:
        data = self._delayed.popleft()  # in order, even if two are due at the same time
        if self.other.transport.is_closing():
            return
        if data:
            self.other.transport.write(data)
        else:
            with contextlib.suppress(OSError):  # it is closed
                self.other.transport.write_eof()


class _Near(_End):
    """The end that a client connects to."""

    def __init__(self, target: int, round_trip: float) -> None:
        super().__init__(round_trip)
        self._target = target
        self.open_at = self._loop.time() + round_trip

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.pause_reading()
        self._connecting = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        _, self.other = await self._loop.create_connection(lambda: _End(self._round_trip), "127.0.0.1", self._target)
        self.other.other = self
        self.transport.resume_reading()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2])))
