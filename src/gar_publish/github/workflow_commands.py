"""A step of a workflow: its output as workflow commands, and its exit code.

Nothing here needs `actions_toolkit.core`: it imports requests, which is slow, and the first connections do not wait
for that.

See https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import RLock

from actions_toolkit.command import issue

from gar_publish.console import Lines, Unit, encoded_forms, printable
from gar_publish.errors import Failure, as_failure
from gar_publish.process import hide_this_process, ignore_signals, raise_on_signals


class RunnerConsole:
    """Writes workflow commands. May be shared by threads."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._stop_token: str | None = None

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        self._command("group", printable(title))
        try:
            yield
        finally:
            self._command("endgroup")

    def info(self, text: str) -> None:
        text = printable(text)  # before the search: a character that it removes may separate two colons
        with self._lock:
            if "::" in text or "##[" in text:
                with self.untrusted() as show:
                    show(text)
            else:
                self._write(text)

    def notice(self, text: str) -> None:
        self._command("notice", printable(text))

    def warning(self, text: str) -> None:
        self._command("warning", printable(text))

    def error(self, failure: Failure) -> None:
        """Show what happened as an annotation, and the rest in the log."""
        with self._lock:
            self._command("error", printable(failure.what))
            self.info(failure.explanation)

    def mask(self, secret: str) -> None:
        for form in encoded_forms(secret):
            self._command("add-mask", form)

    def progress(self, what: str, total: int, unit: Unit = "bytes") -> AbstractContextManager[Callable[[int], None]]:
        return nullcontext(Lines(self.info, what, total, unit).show)

    @contextmanager
    def untrusted(self) -> Iterator[Callable[[str], None]]:
        """Have the runner ignore commands until the end of the block."""
        with self._lock:
            outer, self._stop_token = self._stop_token, self._stop_token or secrets.token_hex(16)
            if not outer:
                issue("stop-commands", self._stop_token)
        try:
            yield self._write
        finally:
            with self._lock:
                if not outer:
                    issue(self._stop_token)
                    self._stop_token = None
                sys.stdout.flush()

    def _write(self, line: str) -> None:
        with self._lock:
            sys.stdout.write(f"{printable(line)}\n")
            sys.stdout.flush()

    def _command(self, name: str, text: str = "") -> None:
        """Issue a command, also while another thread has stopped commands."""
        with self._lock:
            if self._stop_token:
                issue(self._stop_token)
            issue(name, text)
            if self._stop_token:
                issue("stop-commands", self._stop_token)
            sys.stdout.flush()


def run_step(step: Callable[[RunnerConsole], int]) -> int:
    """Run a step and return its exit code; an exception is shown as a failure."""
    raise_on_signals()
    hide_this_process()
    console = RunnerConsole()
    try:
        return step(console)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - a bug is shown as a failure, too
        ignore_signals()
        failure = as_failure(error)
        console.error(failure)
        return failure.exit_code
