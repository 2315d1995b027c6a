"""The console of the runner: what is said becomes workflow commands.

See https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from threading import RLock

from actions_toolkit import command, core

from gar_publish.console import encoded_forms, printable
from gar_publish.errors import Failure
from gar_publish.progress import Lines


class RunnerConsole:
    """Says things in workflow commands. May be shared by threads."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._fence: str | None = None

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        self._command(lambda: core.start_group(printable(title)))
        try:
            yield
        finally:
            self._command(core.end_group)

    def info(self, text: str) -> None:
        text = printable(text)  # what it leaves out may stand between two colons
        with self._lock:
            if "::" in text or "##[" in text:
                with self.foreign() as say:
                    say(text)
            else:
                self._say(text)

    def notice(self, text: str) -> None:
        self._command(lambda: core.notice(printable(text)))

    def warning(self, text: str) -> None:
        self._command(lambda: core.warning(printable(text)))

    def error(self, failure: Failure) -> None:
        self._command(lambda: core.error(printable(failure.explain()), title=printable(failure.what)))

    def mask(self, secret: str) -> None:
        for form in encoded_forms(secret):
            self._command(partial(core.set_secret, form))

    def progress(self, filename: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        return nullcontext(Lines(self.info, filename, total).show)

    @contextmanager
    def foreign(self) -> Iterator[Callable[[str], None]]:
        """Between two fences the runner takes no line as a command."""
        with self._lock:
            outer, self._fence = self._fence, self._fence or secrets.token_hex(16)
            if not outer:
                command.issue("stop-commands", self._fence)
        try:
            yield self._say
        finally:
            with self._lock:
                if not outer:
                    command.issue(self._fence)
                    self._fence = None
                sys.stdout.flush()

    def _say(self, line: str) -> None:
        with self._lock:
            sys.stdout.write(f"{printable(line)}\n")
            sys.stdout.flush()

    def _command(self, issue: Callable[[], None]) -> None:
        """Issue a command, lifting a fence that another thread put up."""
        with self._lock:
            if self._fence:
                command.issue(self._fence)
            issue()
            if self._fence:
                command.issue("stop-commands", self._fence)
            sys.stdout.flush()
