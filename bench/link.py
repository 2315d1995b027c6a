"""A line to a server far away: 40 ms each way, and a round trip for the connection itself.

It is a process of its own that forwards bytes. The kernel connects a client at once, so what the client says within the
first round trip counts as said at its end. There is no limit of bandwidth, and nothing is lost.
"""

import asyncio
import contextlib
import subprocess
import sys
from types import TracebackType
from typing import Self

ONE_WAY = 0.04
_PIECE = 1 << 16


class Link:
    """The line to a port of this machine, for as long as the context lasts.

    Attributes:
        port: Where it begins, on this machine.
    """

    def __init__(self, target: int) -> None:
        command = [sys.executable, "-m", "bench.link", str(target)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = 0

    def __enter__(self) -> Self:
        assert self._process.stdout
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()  # the end of its input ends it


async def _serve(target: int) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_at = asyncio.get_running_loop().time() + 2 * ONE_WAY
        with contextlib.suppress(OSError, asyncio.CancelledError):  # the end of this process cancels what is open
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
            await asyncio.gather(_carry(reader, far_writer, open_at), _carry(far_reader, writer))
            far_writer.close()
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, open_at: float = 0.0) -> None:
    """Write whatever is read, end included, when it has come a long way."""
    loop = asyncio.get_running_loop()
    on_its_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def deliver() -> None:
        data = b"x"
        while data:
            due, data = await on_its_way.get()
            await asyncio.sleep(due - loop.time())
            writer.write(data)
        writer.write_eof()

    delivery = asyncio.create_task(deliver())
    data = b"x"
    while data:
        try:
            data = await reader.read(_PIECE)
        except OSError:
            data = b""
        on_its_way.put_nowait((max(loop.time(), open_at) + ONE_WAY, data))
    with contextlib.suppress(OSError):
        await delivery


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
