"""A call of a hook in a process that stays for the next: what it prints, and when it has ended."""

import select
import time
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

from gar_publish.builder.process import AFTERWARDS, LONGEST_LINE, readable

if TYPE_CHECKING:
    import socket

    from gar_publish.builder.hook_process import Serving

_TICK = 0.2


class HookCall:
    """A hook that runs (`gar_publish.builder.process.Work`).

    Args:
        process: Where.
        output: What it prints to, without a buffer.
    """

    def __init__(self, process: "Serving", output: IO[bytes]) -> None:
        self._process = process
        self._output = output
        self._code: int | None = None

    def lines(self) -> Iterator[str]:
        # Two descriptors are waited for in this thread: with another one for each, small builds take longer.
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
        if self._code is None:  # else the process waits for its next call
            self._process.end()


def can_be_read(channel: "socket.socket", seconds: float = 0) -> bool:
    """Whether there is something to read, an end included, after so many seconds at most."""
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    return bool(poll.poll(1000 * seconds))
