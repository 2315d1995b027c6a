"""The failures that a user can meet. Each says what happened, the likely cause and the fix, and never has a secret.

The class decides the exit code:

    Failure                  1    internal error: a bug of gar-publish
    ├── BadInput             2
    ├── CredentialsFailure   3
    ├── BuildFailure         4
    ├── Conflict             5
    ├── RegistryRefused      6
    │   └── FileRefused      6    other files may still be accepted
    ├── Unreachable          7
    └── Interrupted        130
"""

from collections.abc import Callable
from typing import ClassVar

DOCS = "https://github.com/org/gar-publish/blob/main/docs/troubleshooting.md"
CONFUSION_DOCS = "https://github.com/org/gar-publish/blob/main/docs/dependency-confusion.md"
EVIDENCE_DOCS = "https://github.com/org/gar-publish/blob/main/docs/evidence.md"


class Failure(Exception):
    """A failure, explained to the user.

    Args:
        what: What happened, as one sentence in the user's words.
        cause: The likely cause. Empty where `what` says it already.
        fix: A command to run or an input to change.
        anchor: The heading in `docs/troubleshooting.md` that says more.
        detail: A server's answer, or a backend's last lines, shown unchanged.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, cause: str = "", fix: str = "", anchor: str, detail: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.cause = cause
        self.fix = fix
        self.anchor = anchor
        self.detail = detail

    @property
    def docs(self) -> str:
        return f"{DOCS}#{self.anchor}"

    def because(self, *, cause: str, fix: str, anchor: str) -> "Failure":
        """Return the same failure with the cause that later facts point to."""
        return type(self)(self.what, cause=cause, fix=fix, anchor=anchor, detail=self.detail)

    def translated(self, words: Callable[[str], str]) -> "Failure":
        """Return the same failure in other words; `detail` stays unchanged."""
        return type(self)(
            words(self.what), cause=words(self.cause), fix=words(self.fix), anchor=self.anchor, detail=self.detail
        )

    @property
    def brief(self) -> str:
        """Return what happened and the fix on one line, for a warning."""
        return f"{self.what} Fix: {self.fix}".replace("\n ", ":")

    def explain(self) -> str:
        """Return the whole failure as plain text."""
        return f"{self.what}\n{self.explanation}"

    @property
    def explanation(self) -> str:
        """Everything but what happened: the fix, the cause, the detail and the documentation."""
        parts = [
            f"Fix: {self.fix}" if self.fix else "",
            f"Likely cause: {self.cause}" if self.cause else "",
            f"  {self.detail.strip()}".replace("\n", "\n  ") if self.detail else "",
            f"More: {self.docs}",
        ]
        return "\n".join(part for part in parts if part)


class BadInput(Failure):
    """An input is missing, misspelt or contradicts another, or names what cannot be used."""

    exit_code = 2


class CredentialsFailure(Failure):
    """There is no access token, or the registry does not accept it."""

    exit_code = 3


class BuildFailure(Failure):
    """A project could not be built, or what it built must not be published."""

    exit_code = 4


class Conflict(Failure):
    """The registry has a file of the same name with different contents."""

    exit_code = 5


class RegistryRefused(Failure):
    """The registry refused a request."""

    exit_code = 6


class FileRefused(RegistryRefused):
    """The registry refused one file, or did not return it; other files may still be accepted."""


class Unreachable(Failure):
    """A server did not answer properly after all retries."""

    exit_code = 7


class Interrupted(Failure):
    """The run was cancelled (SIGINT or SIGTERM)."""

    exit_code = 130


def as_failure(error: BaseException) -> Failure:
    """Return an exception as the failure that is shown to the user.

    Python 3.11 raises RuntimeError if a signal arrives in `__set_name__`, while a module is imported.
    """
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, KeyboardInterrupt):
            return Interrupted("The run was cancelled.", fix="run the same command again", anchor="interrupted")
        cause = cause.__cause__ or cause.__context__
    return error if isinstance(error, Failure) else internal_error(error)


def internal_error(error: BaseException) -> Failure:
    """Return the failure for an exception that is a bug. Its message is left out, because it may contain a secret."""
    import traceback  # keeps `--version` quick

    lines = traceback.format_tb(error.__traceback__)
    return Failure(
        f"Internal error ({type(error).__name__}); please report it.",
        fix="open an issue with the lines below",
        anchor="internal-error",
        detail="".join(lines[-5:]),
    )
