"""A diagnosis, and its forms: a tree for a terminal, Markdown for a step summary, and JSON."""

import html
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from gar_publish.console import printable
from gar_publish.errors import Failure
from gar_publish.report.render import failure_as_json, failure_as_markdown

State = Literal["ok", "broken", "not checked", "not reached"]
"""`not checked`: nothing to check, or no permission to look. `not reached`: an earlier link is broken."""

_MARKS: dict[State, str] = {"ok": "+", "broken": "x", "not checked": "-", "not reached": "."}
_ICONS: dict[State, str] = {"ok": "✅", "broken": "❌", "not checked": "➖", "not reached": "⬜"}  # noqa: RUF001 - as it is meant
_SAID = "This is the failure above."
_ALL_OK = "All links that could be checked are ok."


@dataclass(frozen=True)
class Link:
    """One link of the chain.

    Attributes:
        name: Its name in JSON: "token-exchange".
        title: Its name for people.
        state: The result of the check.
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
        """Return the lines of the fix that are commands."""
        lines = self.failure.fix.splitlines() if self.failure else []
        return [line.strip() for line in lines if line.strip().startswith("gcloud ")]


@dataclass(frozen=True)
class Diagnosis:
    """All links in their order; none is reached after a broken one."""

    links: tuple[Link, ...]

    @property
    def broken(self) -> Link | None:
        return next((link for link in self.links if link.failure), None)

    @property
    def exit_code(self) -> int:
        """Return the exit code that publishing would end with; 0 if no link is broken."""
        return self.broken.failure.exit_code if self.broken and self.broken.failure else 0

    def translated(self, words: Callable[[str], str]) -> "Diagnosis":
        """Return the same diagnosis with its facts and failures in other words."""
        return Diagnosis(
            tuple(
                replace(
                    each,
                    facts=tuple(map(words, each.facts)),
                    failure=each.failure and each.failure.translated(words),
                )
                for each in self.links
            )
        )


def as_text(diagnosis: Diagnosis, said: Failure | None = None) -> str:
    """Return the tree: a line for each link, then its facts and its failure, unless that was `said` already."""
    lines = []
    for link in diagnosis.links:
        lines.append(f"{_MARKS[link.state]} {link.title}: {link.state}")
        lines += [f"  | {_line(fact)}" for fact in link.facts]
        if link.failure:
            text = _SAID if _is_same(link.failure, said) else link.failure.explain()
            lines += [f"  ` {line}" for line in text.splitlines()]
    return printable("\n".join(lines if diagnosis.broken else [*lines, _ALL_OK]))


def as_markdown(diagnosis: Diagnosis, said: Failure | None = None) -> str:
    """Return the failure of the broken link, unless that was `said` already, and a folded table of the links."""
    rows = [
        f"| {_ICONS[link.state]} {link.title} | {link.state} | {'<br>'.join(map(_cell, link.facts))} |"
        for link in diagnosis.links
    ]
    broken = diagnosis.broken
    parts = []
    if broken and broken.failure and not _is_same(broken.failure, said):
        parts = [failure_as_markdown(broken.failure)]
    found = f"what is broken: {broken.title}" if broken else _ALL_OK
    table = ["| link | state | what was seen |", "| --- | --- | --- |", *rows]
    return "\n".join(
        [*parts, f"<details><summary>gar-publish doctor: {found}</summary>", "", *table, "", "</details>", ""]
    )


def _is_same(failure: Failure, said: Failure | None) -> bool:
    return said is not None and (failure.what, failure.cause, failure.fix) == (said.what, said.cause, said.fix)


def as_json(diagnosis: Diagnosis) -> str:
    """Return the diagnosis as JSON; `commands` are those of the broken link."""
    broken = diagnosis.broken
    links = [
        {
            "name": link.name,
            "title": link.title,
            "state": link.state,
            "facts": list(link.facts),
            **({"failure": failure_as_json(link.failure)} if link.failure else {}),
        }
        for link in diagnosis.links
    ]
    found = {
        "broken": broken.name if broken else None,
        "exit-code": diagnosis.exit_code,
        "commands": broken.commands if broken else [],
        "links": links,
    }
    return json.dumps(found, indent=2) + "\n"


def _line(fact: str) -> str:
    """Return a fact on one line: a line break in a claim could forge a part of the tree or the table."""
    return " ".join(fact.splitlines())


def _cell(fact: str) -> str:
    # Written as numbers, these characters have no meaning in Markdown.
    return html.escape(printable(_line(fact))).translate({ord(each): f"&#{ord(each)};" for each in "|[`\\"})
