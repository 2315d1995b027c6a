"""The console of the command line: a terminal, or a log file."""

import os
import re
import shlex
import sys
import time
from collections import deque
from collections.abc import Callable, Container, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from threading import RLock
from typing import TYPE_CHECKING, TextIO

from gar_publish.console import Lines, Unit, encoded_forms, pace, printable
from gar_publish.errors import Failure
from gar_publish.settings.settings import OPTIONS

if TYPE_CHECKING:
    from rich.progress import Progress

_BAR_AFTER = 1.0
_REDRAWN_AFTER = 0.1
"""Seconds before an upload gets a bar, and between two updates of the bar."""

_RED, _GREEN, _YELLOW, _CYAN, _DIM = "31", "32", "33", "36", "2"
_COLOURS = {
    **dict.fromkeys(("error:", "failed", "not built", "broken"), _RED),
    **dict.fromkeys(("warning:", "not tried", "unknown"), _YELLOW),
    **dict.fromkeys(("built", "uploaded", "would upload", "ok"), _GREEN),
    **dict.fromkeys(("identical", "skipped"), _DIM),
    **dict.fromkeys(("note:", "Fix:"), _CYAN),
}
_COLOURED = re.compile(rf"^(?:{'|'.join(_COLOURS)})(?= )|(?<=: )(?:ok|broken)$", re.MULTILINE)
"""A status or a prefix at the start of a line, and the state of a link of the doctor at its end."""

_INPUT = re.compile(rf"(?<!output )`({'|'.join(OPTIONS)})(?:: ([^`\n]+))?`")
_EXCLUSION = re.compile("`(![^`]+)`")
"""A shell would take an exclusion without quotes for a command of its history."""


class TerminalConsole:
    """Writes to standard error, so that standard output has only results. May be shared by threads.

    Args:
        stream: Standard error.
        command: The command that is run.
        options: The names of its options.
        quiet: Whether only notes, warnings and errors are shown.
        verbose: Whether the output of builds is shown.
    """

    def __init__(
        self,
        stream: TextIO,
        command: str = "publish",
        options: Container[str] = OPTIONS,
        *,
        quiet: bool = False,
        verbose: bool = False,
    ) -> None:
        self._stream = stream
        self._quiet = quiet
        self._verbose = verbose
        self._command = command
        self._options = options
        self._secrets: set[str] = set()
        self._shown = deque[str](maxlen=100)
        self._bars = Bars(stream)

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        if self._verbose:
            self.info(title)
        yield

    def info(self, text: str) -> None:
        if not self._quiet:
            self._write(text)

    def notice(self, text: str) -> None:
        self._write(f"note: {self.in_options(text)}")

    def warning(self, text: str) -> None:
        self._write(f"warning: {self.in_options(text)}")

    def error(self, failure: Failure) -> None:
        failure = failure.translated(self.in_options)
        if set(self._shown).issuperset(failure.detail.splitlines()):
            failure.detail = ""  # it was shown a moment ago
        self._write(f"error: {failure.explain()}")

    def in_options(self, text: str) -> str:
        """Return a text with the options of this command instead of inputs of the action."""
        return as_options(text, self._command, self._options)

    def mask(self, secret: str) -> None:
        self._secrets.update(encoded_forms(secret))

    def progress(self, what: str, total: int, unit: Unit = "bytes") -> AbstractContextManager[Callable[[int], None]]:
        """Show a bar in a terminal, and a line now and then in a file."""
        if self._stream.isatty() and not self._quiet:
            return self._bars.bar(what, total, unit)
        return nullcontext(Lines(self.info, what, total, unit).show)

    def end_progress(self) -> None:
        """Remove the bars of what was abandoned."""
        self._bars.end()

    @contextmanager
    def untrusted(self) -> Iterator[Callable[[str], None]]:
        def show(line: str) -> None:
            if self._verbose:
                self._shown.append(line)
                self.info(f"  {line}")

        yield show

    def _write(self, text: str) -> None:
        text = printable(text)
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        self._bars.write(f"{coloured(text, self._stream)}\n")


def coloured(text: str, stream: TextIO) -> str:
    """Return a text with colours for statuses and errors, if it goes to a terminal that shows them.

    See https://no-color.org/.
    """
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or sys.platform == "win32"
    if plain or not stream.isatty():
        return text
    return _COLOURED.sub(lambda found: f"\033[{_COLOURS[found[0]]}m{found[0]}\033[0m", text)


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

    return _EXCLUSION.sub(lambda found: f"`{shlex.quote(found[1])}`", _INPUT.sub(option, text))


class Bars:
    """A bar for each upload, download or build that takes longer than a second, below all other lines."""

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
    def bar(self, what: str, total: int, unit: Unit) -> Iterator[Callable[[int], None]]:
        task = None
        started = time.monotonic()
        drawn = started + _BAR_AFTER - _REDRAWN_AFTER

        def show(done: int) -> None:
            nonlocal task, drawn
            now = time.monotonic()
            if now - drawn < _REDRAWN_AFTER:
                return
            drawn = now
            with self._lock:
                if self._ended:
                    return
                self._shown = self._shown or _start(self._stream)
                if task is None:
                    task = self._shown.add_task(what, total=total, pace="")
                self._shown.update(task, completed=done, pace=pace(done, total, now - started, unit))

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
    from rich import progress  # only for what is slow
    from rich.console import Console
    from rich.table import Column

    bars = progress.Progress(
        progress.TextColumn("{task.description}", markup=False, table_column=Column(ratio=2, no_wrap=True)),
        progress.BarColumn(bar_width=None, table_column=Column(ratio=1)),
        progress.TextColumn("{task.fields[pace]}", markup=False, table_column=Column(no_wrap=True)),
        console=Console(file=stream),
        expand=True,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    bars.start()
    return bars
