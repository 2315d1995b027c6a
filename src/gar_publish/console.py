"""What the inner modules may say to the person who watches, without knowing who that is.

`runner.py` implements it with workflow commands, `terminal.py` for a person.
"""

import base64
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
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
