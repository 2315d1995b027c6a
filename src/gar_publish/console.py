"""What the inner modules may say to the person who watches, without knowing who that is.

`runner.py` implements it with workflow commands, `terminal.py` for a person.
"""

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
        """Fold what is said inside under a title."""

    def info(self, text: str) -> None: ...

    def notice(self, text: str) -> None: ...

    def warning(self, text: str) -> None: ...

    def mask(self, secret: str) -> None:
        """Hide a secret, and its encoded forms, from everything that is said from now on."""

    def progress(self, filename: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """Show how far one upload is; is told, often and from any thread, how many of `total` bytes have left."""

    def foreign(self) -> AbstractContextManager[Callable[[str], None]]:
        """Show lines that other people's code wrote; nothing in them is taken as a command."""


def printable(text: str) -> str:
    """A text without control characters: what others say can command no terminal, nor turn its own order round."""
    return _CONTROL.sub("", text)


def encoded_forms(secret: str) -> list[str]:
    """A secret as it stands, and as it looks in URLs and in headers."""
    encoded = base64.b64encode(secret.encode()).decode()
    basic = base64.b64encode(f"oauth2accesstoken:{secret}".encode()).decode()
    return sorted({secret, quote(secret, safe=""), encoded, basic} - {""})


def human_size(size: int | None) -> str:
    """A number of bytes for people: 812 B, 3.4 kB, 1.2 MB (powers of 1,000)."""
    if size is None:
        return "-"
    amount, units = float(size), ["B", "kB", "MB", "GB"]
    while amount >= 1000 and len(units) > 1:  # noqa: PLR2004 - see above
        amount /= 1000
        units.pop(0)
    return f"{size} B" if units[0] == "B" else f"{amount:.1f} {units[0]}"


def rfc3339(moment: datetime | None) -> str:
    """A moment as RFC 3339 has it, in UTC; empty for none."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else ""


_INTERVAL = 12.0
"""Seconds between two lines; an upload that takes less says nothing."""


class Lines:
    """Says a line now and then.

    Args:
        say: Takes a line.
        filename: What is being uploaded.
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
        """Take note that `sent` bytes have left."""
        now = self._clock()
        if now - self._said < _INTERVAL:
            return
        self._said = now
        speed = human_size(int(sent / (now - self._started)))
        self._say(
            f"{self._filename}: {human_size(sent)} of {human_size(self._total)}, "
            f"{sent * 100 // self._total} %, {speed}/s"
        )
