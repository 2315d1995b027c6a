"""Every kind of failure that a user can meet.

A failure is a sentence that helps: what happened, the likely cause, what mends it, and where the documentation
says more. Its class gives the exit code of the contract. It never carries a secret.
"""

from typing import ClassVar

DOCS = "https://github.com/org/gar-publish/blob/main/docs/troubleshooting.md"
CONFUSION_DOCS = "https://github.com/org/gar-publish/blob/main/docs/dependency-confusion.md"
EVIDENCE_DOCS = "https://github.com/org/gar-publish/blob/main/docs/evidence.md"


class Failure(Exception):
    """A failure that was foreseen. Anything else that escapes is a bug of gar-publish (exit code 1).

    Args:
        what: What happened, as one sentence, in the words of the person whom it happened to.
        cause: The likely cause. Empty where `what` says it already.
        fix: What mends it: a command to run or an input to change.
        anchor: The heading in `docs/troubleshooting.md` that says more.
        detail: What the other side said (a server's answer, a backend's last lines), shown as it is.
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

    def explain(self) -> str:
        """Return the whole failure as plain text."""
        parts = [self.what]
        if self.detail:
            parts.append(f"  {self.detail.strip()}".replace("\n", "\n  "))
        if self.cause:
            parts.append(f"Likely cause: {self.cause}")
        if self.fix:
            parts.append(f"Fix: {self.fix}")
        parts.append(f"More: {self.docs}")
        return "\n".join(parts)


class BadInput(Failure):
    """An input is missing, misspelt or contradicts another; nothing was started."""

    exit_code = 2


class CredentialsFailure(Failure):
    """No access token could be had, or the registry does not accept the one that was."""

    exit_code = 3


class BuildFailure(Failure):
    """A project could not be built, or what it built must not be published."""

    exit_code = 4


class Conflict(Failure):
    """The registry holds a file of the same name with other bytes."""

    exit_code = 5


class RegistryRefused(Failure):
    """The registry answered, and the answer is no."""

    exit_code = 6


class FileRefused(RegistryRefused):
    """The registry does not take, or give back, one file; that says nothing of other files."""


class Unreachable(Failure):
    """A server did not answer properly, however often it was asked."""

    exit_code = 7


class Interrupted(Failure):
    """The run was cancelled (SIGINT or SIGTERM)."""

    exit_code = 130


def cancelled() -> Failure:
    """What is said when a run is stopped by a signal."""
    return Interrupted("The run was cancelled.", fix="run it again: what has landed is skipped", anchor="interrupted")


def internal_error(error: Exception) -> Failure:
    """What is said of an exception that nobody foresaw. Its message is left out: nobody knows what it holds."""
    import traceback  # keeps `--version` quick

    lines = traceback.format_tb(error.__traceback__)
    return Failure(
        f"gar-publish has made a mistake ({type(error).__name__}), and ends here.",
        fix="report the lines above; what has landed is skipped by the same command",
        anchor="internal-error",
        detail="".join(lines[-5:]),
    )
