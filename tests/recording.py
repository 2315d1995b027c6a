"""A console that records its messages."""

import contextlib
from collections.abc import Callable, Iterator

from gar_publish.console import Unit


class RecordingConsole:
    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []

    @contextlib.contextmanager
    def group(self, title: str) -> Iterator[None]:
        self.said.append(("group", title))
        yield

    def info(self, text: str) -> None:
        self.said.append(("info", text))

    def notice(self, text: str) -> None:
        self.said.append(("notice", text))

    def warning(self, text: str) -> None:
        self.said.append(("warning", text))

    def mask(self, secret: str) -> None:
        self.said.append(("mask", secret))

    def progress(
        self,
        what: str,
        total: int,
        unit: Unit = "bytes",  # noqa: ARG002 - a console's
    ) -> contextlib.nullcontext[Callable[[int], None]]:
        return contextlib.nullcontext(lambda sent: self.said.append(("progress", f"{what} {sent} {total}")))

    @contextlib.contextmanager
    def untrusted(self) -> Iterator[Callable[[str], None]]:
        yield lambda line: self.said.append(("foreign", line))

    def of(self, kind: str) -> list[str]:
        """Return the messages of one kind."""
        return [text for said_as, text in self.said if said_as == kind]
