"""The interface for output, which each front door implements, and how values are shown."""

import base64
import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Literal, Protocol
from urllib.parse import quote

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


Unit = Literal["bytes", "builds"]


class Console(Protocol):
    def group(self, title: str) -> AbstractContextManager[None]:
        """Group the lines of the block under a title."""

    def info(self, text: str) -> None: ...

    def notice(self, text: str) -> None: ...

    def warning(self, text: str) -> None: ...

    def mask(self, secret: str) -> None:
        """Hide a secret and its encoded forms in all later output."""

    def progress(self, what: str, total: int, unit: Unit = "bytes") -> AbstractContextManager[Callable[[int], None]]:
        """Show the progress of one upload or download, or of all builds.

        The result takes the number of bytes or builds that are done, often and from any thread.
        """

    def untrusted(self) -> AbstractContextManager[Callable[[str], None]]:
        """Show lines that other programs wrote; none of them is taken as a workflow command."""


def printable(text: str) -> str:
    """Return a text without the characters that control a terminal or reverse the direction of text."""
    return _CONTROL.sub("", text)


def encoded_forms(secret: str) -> list[str]:
    """Return a secret and its forms in URLs and headers."""
    encoded = base64.b64encode(secret.encode()).decode()
    basic = base64.b64encode(f"oauth2accesstoken:{secret}".encode()).decode()
    return sorted({secret, quote(secret, safe=""), encoded, basic} - {""})


def human_size(size: int | None) -> str:
    """Return a number of bytes as people write it: 812 B, 3.4 kB, 1.2 MB (powers of 1,000)."""
    if size is None:
        return "-"
    amount, units = float(size), ["B", "kB", "MB", "GB"]
    while amount >= 1000 and len(units) > 1:  # noqa: PLR2004 - see above
        amount /= 1000
        units.pop(0)
    return f"{size} B" if units[0] == "B" else f"{amount:.1f} {units[0]}"


def rfc3339(moment: datetime | None) -> str:
    """Return a UTC time in the format of RFC 3339; empty for none."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else ""


def pace(done: int, total: int, seconds: float, unit: Unit) -> str:
    """Return how far something is: "35 %, 1.1 MB/s, 0:12 left". A build has no middle: only its time is known."""
    if not done:
        return _minutes(seconds)
    rate = done / max(seconds, 0.001)
    speed = f"{human_size(int(rate))}/s" if unit == "bytes" else f"{rate * 60:.1f}/min"
    return f"{done * 100 // max(total, 1)} %, {speed}, {_minutes((total - done) / rate)} left"


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(int(max(seconds, 0)), 60)
    return f"{minutes}:{rest:02}"


_INTERVAL = 12.0
"""Seconds between two lines; what is shorter has none."""


class Lines:
    """The progress of one upload or download, or of all builds, as a line every 12 seconds.

    Args:
        say: Takes a line.
        what: What goes on: the name of a file, for example.
        total: Its size in bytes, or how many builds there are.
        unit: What is counted.
        clock: Seconds since some fixed point.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        what: str,
        total: int,
        unit: Unit = "bytes",
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._say = say
        self._what = what
        self._total = total
        self._unit = unit
        self._clock = clock
        self._started = self._said = clock()

    def show(self, done: int) -> None:
        """Take the number of bytes or builds that are done."""
        now = self._clock()
        if now - self._said < _INTERVAL:
            return
        self._said = now
        in_bytes = self._unit == "bytes"
        shown, total = ((human_size if in_bytes else str)(each) for each in (done, self._total))
        self._say(f"{self._what}: {shown} of {total}, {pace(done, self._total, now - self._started, self._unit)}")
