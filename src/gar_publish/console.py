"""The interface for output, which each front door implements, and how values are shown."""

import base64
import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol
from urllib.parse import quote

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Console(Protocol):
    def group(self, title: str) -> AbstractContextManager[None]:
        """Group the lines of the block under a title."""

    def info(self, text: str) -> None: ...

    def notice(self, text: str) -> None: ...

    def warning(self, text: str) -> None: ...

    def mask(self, secret: str) -> None:
        """Hide a secret and its encoded forms in all later output."""

    def progress(self, filename: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """Show the progress of one upload. The result takes the number of bytes sent, often and from any thread."""

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


_INTERVAL = 12.0
"""Seconds between two lines; a shorter upload has none."""


class Lines:
    """The progress of one upload as a line every 12 seconds.

    Args:
        say: Takes a line.
        filename: The file that is uploaded.
        total: Its size in bytes.
        clock: Seconds since some fixed point.
    """

    def __init__(
        self, say: Callable[[str], None], filename: str, total: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._say = say
        self._filename = filename
        self._total = total
        self._clock = clock
        self._started = self._said = clock()

    def show(self, sent: int) -> None:
        """Take the number of bytes sent so far."""
        now = self._clock()
        if now - self._said < _INTERVAL:
            return
        self._said = now
        speed = human_size(int(sent / (now - self._started)))
        self._say(
            f"{self._filename}: {human_size(sent)} of {human_size(self._total)}, "
            f"{sent * 100 // self._total} %, {speed}/s"
        )
