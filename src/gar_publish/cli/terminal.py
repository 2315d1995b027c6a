"""The console of the command line: a terminal, or a log file."""

import re
import shlex
import time
from collections import deque
from collections.abc import Callable, Container, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from threading import RLock
from typing import TYPE_CHECKING, TextIO

from gar_publish.console import Lines, encoded_forms, printable
from gar_publish.errors import Failure
from gar_publish.settings.settings import INPUTS, OPTIONS

if TYPE_CHECKING:
    from rich.progress import Progress

_BAR_AFTER = 1.0
_REDRAWN_AFTER = 0.1
"""Seconds before an upload gets a bar, and between two updates of the bar."""

_INPUT = re.compile(rf"`({'|'.join(each.name for each in INPUTS)})(?:: ([^`\n]+))?`")


class TerminalConsole:
    """Writes to standard error, so that standard output has only results. May be shared by threads.

    Args:
        stream: Standard error.
        command: The command that is run.
        options: The names of its options.
    """

    def __init__(self, stream: TextIO, command: str = "publish", options: Container[str] = OPTIONS) -> None:
        self._stream = stream
        self._command = command
        self._options = options
        self._secrets: set[str] = set()
        self._shown = deque[str](maxlen=100)
        self._bars = Bars(stream)

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        self.info(title)
        yield

    def info(self, text: str) -> None:
        text = printable(text)
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        self._bars.write(f"{text}\n")

    def notice(self, text: str) -> None:
        self.info(f"note: {self.in_options(text)}")

    def warning(self, text: str) -> None:
        self.info(f"warning: {self.in_options(text)}")

    def error(self, failure: Failure) -> None:
        failure = failure.translated(self.in_options)
        if set(self._shown).issuperset(failure.detail.splitlines()):
            failure.detail = ""  # it was shown a moment ago
        self.info(f"error: {failure.explain()}")

    def in_options(self, text: str) -> str:
        """Return a text with the options of this command instead of inputs of the action."""
        return as_options(text, self._command, self._options)

    def mask(self, secret: str) -> None:
        self._secrets.update(encoded_forms(secret))

    def progress(self, filename: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """Show a bar in a terminal, and a line now and then in a file."""
        if self._stream.isatty():
            return self._bars.bar(filename, total)
        return nullcontext(Lines(self.info, filename, total).show)

    def end_progress(self) -> None:
        """Remove the bars of uploads that were abandoned."""
        self._bars.end()

    @contextmanager
    def untrusted(self) -> Iterator[Callable[[str], None]]:
        def show(line: str) -> None:
            self._shown.append(line)
            self.info(f"  {line}")

        yield show


def as_options(text: str, command: str = "publish", options: Container[str] = OPTIONS) -> str:
    """Return a text with each input in backticks written as the option of a command: `dry-run: true` as `--dry-run`.

    An input that is not among the options of the command stays unchanged.
    """

    def option(found: re.Match[str]) -> str:
        name, value = found.groups()
        if name not in options:
            return found[0]
        if OPTIONS[name].kind == "secret":
            return f"`--{name} FILE`"  # a secret in the arguments could be read by every user of the machine
        if name == "packages":
            return f"`{value or ('NAME==VERSION' if command == 'promote' else 'FOLDER')}`"
        if (name, value) == ("dry-run", "build"):
            return "`gar-publish build`"
        name = "from" if name == "promote-from" else name
        if value in {None, "true", "false"}:
            return f"`--{'no-' if value == 'false' else ''}{name}`"
        return f"`--{name} {shlex.quote(value) if ' ' in value else value}`"

    return _INPUT.sub(option, text)


class Bars:
    """A bar for each upload that takes longer than a second, below all other lines."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = RLock()
        self._shown: Progress | None = None
        self._ended = False

    def write(self, text: str) -> None:
        with self._lock, suppress(OSError):  # the run continues without a reader
            if self._shown:
                self._shown.console.out(text, end="", highlight=False)
            else:
                self._stream.write(text)
                self._stream.flush()

    @contextmanager
    def bar(self, filename: str, total: int) -> Iterator[Callable[[int], None]]:
        task = None
        drawn = time.monotonic() + _BAR_AFTER - _REDRAWN_AFTER

        def show(sent: int) -> None:
            nonlocal task, drawn
            if time.monotonic() - drawn < _REDRAWN_AFTER:
                return
            drawn = time.monotonic()
            with self._lock:
                if self._ended:
                    return
                self._shown = self._shown or _start(self._stream)
                if task is None:
                    task = self._shown.add_task(filename, total=total)
                self._shown.update(task, completed=sent)

        try:
            yield show
        finally:
            with self._lock:
                if self._shown and task is not None:
                    self._shown.remove_task(task)
                    if not self._shown.tasks:
                        self._stop()

    def end(self) -> None:
        with self._lock:
            self._ended = True
            self._stop()

    def _stop(self) -> None:
        if self._shown:
            self._shown.stop()
            self._shown = None


def _start(stream: TextIO) -> "Progress":
    from rich import progress  # only for slow uploads
    from rich.console import Console

    bars = progress.Progress(
        "{task.description}",
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        console=Console(file=stream),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    bars.start()
    return bars
