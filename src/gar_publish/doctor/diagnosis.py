"""What the doctor finds: each link of the chain, and the first one that is broken."""

from dataclasses import dataclass
from typing import Literal

from gar_publish.errors import Failure

State = Literal["ok", "broken", "not checked", "not reached"]
"""`not checked`: nothing to check, or nobody may look. `not reached`: an earlier link is broken."""


@dataclass(frozen=True)
class Link:
    """One link of the chain.

    Attributes:
        name: What machines call it: "token-exchange".
        title: What people call it.
        state: Whether it holds.
        facts: What was seen, one line each; never a secret.
        failure: Why it is broken.
    """

    name: str
    title: str
    state: State
    facts: tuple[str, ...] = ()
    failure: Failure | None = None

    @property
    def commands(self) -> list[str]:
        """The lines of the fix that can be run as they are."""
        lines = self.failure.fix.splitlines() if self.failure else []
        return [line.strip() for line in lines if line.strip().startswith("gcloud ")]


@dataclass(frozen=True)
class Diagnosis:
    """All links in their order; behind a broken one, none is reached."""

    links: tuple[Link, ...]

    @property
    def broken(self) -> Link | None:
        return next((link for link in self.links if link.failure), None)

    @property
    def exit_code(self) -> int:
        """That of the contract: what publishing would end with at the broken link; 0 where all hold."""
        return self.broken.failure.exit_code if self.broken and self.broken.failure else 0
