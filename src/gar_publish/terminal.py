"""The console of a person, or of a log that a person reads."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from gar_publish.console import encoded_forms, printable
from gar_publish.errors import Failure


class TerminalConsole:
    """Talks to a person on standard error, so that standard output holds results alone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._secrets: set[str] = set()

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        self.info(title)
        yield

    def info(self, text: str) -> None:
        text = printable(text)
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def notice(self, text: str) -> None:
        self.info(f"note: {text}")

    def warning(self, text: str) -> None:
        self.info(f"warning: {text}")

    def error(self, failure: Failure) -> None:
        self.info(f"error: {failure.explain()}")

    def mask(self, secret: str) -> None:
        self._secrets.update(encoded_forms(secret))

    @contextmanager
    def foreign(self) -> Iterator[Callable[[str], None]]:
        yield lambda line: self.info(f"  {line}")
