"""A diagnosis as a tree for a terminal, as Markdown for a step summary, and as JSON."""

import html
import json

from gar_publish.console import printable
from gar_publish.doctor.diagnosis import Diagnosis, State
from gar_publish.report.render import failure_as_json, failure_as_markdown

_MARKS: dict[State, str] = {"ok": "+", "broken": "x", "not checked": "-", "not reached": "."}
_ICONS: dict[State, str] = {"ok": "✅", "broken": "❌", "not checked": "➖", "not reached": "⬜"}  # noqa: RUF001 - as it is meant
_ALL_HOLD = "All links hold that could be checked."


def as_text(diagnosis: Diagnosis) -> str:
    """The tree: a line for each link, what was seen below it, and below the broken one what mends it."""
    lines = []
    for link in diagnosis.links:
        lines.append(f"{_MARKS[link.state]} {link.title}: {link.state}")
        lines += [f"  | {_line(fact)}" for fact in link.facts]
        if link.failure:
            lines += [f"  ` {line}" for line in link.failure.explain().splitlines()]
    return printable("\n".join(lines if diagnosis.broken else [*lines, _ALL_HOLD]))


def as_markdown(diagnosis: Diagnosis) -> str:
    """The step summary's part: a table of the links, and the broken one's failure."""
    rows = [
        f"| {_ICONS[link.state]} {link.title} | {link.state} | {'<br>'.join(map(_cell, link.facts))} |"
        for link in diagnosis.links
    ]
    parts = ["### gar-publish doctor", "", "| link | state | what was seen |", "| --- | --- | --- |", *rows, ""]
    broken = diagnosis.broken
    parts.append(failure_as_markdown(broken.failure) if broken and broken.failure else f"{_ALL_HOLD}\n")
    return "\n".join(parts)


def as_json(diagnosis: Diagnosis) -> str:
    """For machines; `commands` are those of the broken link, each ready to run."""
    broken = diagnosis.broken
    return (
        json.dumps(
            {
                "broken": broken.name if broken else None,
                "exit-code": diagnosis.exit_code,
                "commands": broken.commands if broken else [],
                "links": [
                    {
                        "name": link.name,
                        "title": link.title,
                        "state": link.state,
                        "facts": list(link.facts),
                        **({"failure": failure_as_json(link.failure)} if link.failure else {}),
                    }
                    for link in diagnosis.links
                ],
            },
            indent=2,
        )
        + "\n"
    )


def _line(fact: str) -> str:
    """A fact holds what others say, such as a claim; line breaks in it would forge more of the tree or the table."""
    return " ".join(fact.splitlines())


def _cell(fact: str) -> str:
    # As numbers, characters have no meaning in Markdown, whatever stands before them.
    return html.escape(printable(_line(fact))).translate({ord(each): f"&#{ord(each)};" for each in "|[`\\"})
