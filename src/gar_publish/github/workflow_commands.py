"""How a step of a workflow runs: what is said becomes workflow commands, and a failure the exit code.

Nothing here needs `actions_toolkit.core`, which imports requests: connections are made before that.

See https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

import secrets
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import RLock

from actions_toolkit.command import issue, issue_command

from gar_publish.console import Lines, encoded_forms, printable
from gar_publish.errors import Failure, cancelled
from gar_publish.process import hide_this_process, ignore_signals, raise_on_signals
from gar_publish.settings.credential import Credential, GivenToken, Key
from gar_publish.settings.inputs import Input

_SHORTEST_KEY_LINE = 32


class RunnerConsole:
    """Says things in workflow commands. May be shared by threads."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._fence: str | None = None

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        self._command("group", printable(title))
        try:
            yield
        finally:
            self._command("endgroup")

    def info(self, text: str) -> None:
        text = printable(text)  # what it leaves out may stand between two colons
        with self._lock:
            if "::" in text or "##[" in text:
                with self.foreign() as say:
                    say(text)
            else:
                self._say(text)

    def notice(self, text: str) -> None:
        self._command("notice", printable(text))

    def warning(self, text: str) -> None:
        self._command("warning", printable(text))

    def error(self, failure: Failure) -> None:
        self._command("error", printable(failure.explain()), title=printable(failure.what))

    def mask(self, secret: str) -> None:
        for form in encoded_forms(secret):
            self._command("add-mask", form)

    def progress(self, filename: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        return nullcontext(Lines(self.info, filename, total).show)

    @contextmanager
    def foreign(self) -> Iterator[Callable[[str], None]]:
        """Between two fences the runner takes no line as a command."""
        with self._lock:
            outer, self._fence = self._fence, self._fence or secrets.token_hex(16)
            if not outer:
                issue("stop-commands", self._fence)
        try:
            yield self._say
        finally:
            with self._lock:
                if not outer:
                    issue(self._fence)
                    self._fence = None
                sys.stdout.flush()

    def _say(self, line: str) -> None:
        with self._lock:
            sys.stdout.write(f"{printable(line)}\n")
            sys.stdout.flush()

    def _command(self, name: str, text: str = "", **properties: str) -> None:
        """Issue a command, lifting a fence that another thread put up."""
        with self._lock:
            if self._fence:
                issue(self._fence)
            issue_command(name, properties, text)
            if self._fence:
                issue("stop-commands", self._fence)
            sys.stdout.flush()


def run_step(
    step: Callable[[RunnerConsole], int], on_failure: Callable[[Failure, RunnerConsole], None] = lambda *_: None
) -> int:
    """Run a step; whatever stops it is said.

    Args:
        step: Does the work, and returns the exit code.
        on_failure: Called with the failure that stopped the step, after it was said.

    Returns:
        The exit code of the contract.
    """
    raise_on_signals()
    hide_this_process()
    console = RunnerConsole()
    try:
        return step(console)
    except Failure as stopped:
        failure = stopped
    except KeyboardInterrupt:
        failure = cancelled()
    except Exception:  # noqa: BLE001 - whatever escapes is our own mistake, and is said to be
        console.info(traceback.format_exc())
        issue("error", "This is a bug in gar-publish, not a mistake of yours. Please report the lines above.")
        return 1
    ignore_signals()
    console.error(failure)
    console.info(failure.explain())
    on_failure(failure, console)
    return failure.exit_code


def read_inputs(wanted: Iterable[Input], environment: Mapping[str, str]) -> dict[str, str]:
    """What a workflow has given, by the names of inputs, without white space around it; empty where it has not."""
    return {each.name: environment.get(f"INPUT_{each.name.upper()}", "").strip() for each in wanted}


def mask_given(credential: Credential, console: RunnerConsole) -> None:
    """Mask the secrets that an input brought."""
    match credential:
        case GivenToken(value):
            console.mask(value)
        case Key(info):
            # The runner masks what stands in a secret; of base64 it does not know what is inside.
            for line in str(info["private_key"]).splitlines():
                if len(line) >= _SHORTEST_KEY_LINE and not line.startswith("-----"):
                    console.mask(line)
