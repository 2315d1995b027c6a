"""The outcome of a rehearsal, for the report."""

from dataclasses import dataclass
from typing import Literal

State = Literal["passed", "failed", "not tried"]


@dataclass(frozen=True)
class Rehearsal:
    """One installation of a package in a clean environment, before or after its publication.

    `--json` writes these attributes.

    Attributes:
        name: The normalised name of the package.
        version: Its version.
        python: The version of Python; empty where none was found.
        beside: The dependency that was held at its lowest version, as `name==version`; `published` for the installation
            from the repository alone; else empty.
        state: What came of it.
        problems: Why it failed, or was not tried.
        warnings: What may be wrong.
        notes: What is worth knowing, such as the extra that a script needs.
    """

    name: str
    version: str
    python: str
    beside: str
    state: State
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Return where it was tried, such as "Python 3.13.1 with lib==1.0"."""
        python = f"Python {self.python}" if self.python else "no Python"
        if self.beside == "published":
            return f"{python}, from the repository"
        return f"{python} with {self.beside}" if self.beside else python
