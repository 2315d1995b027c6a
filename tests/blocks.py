"""The fenced blocks of the documents, each with what stands above it: its section, and the mark of what it needs."""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

DOCUMENTS = [
    ROOT / "README.md",
    *sorted(ROOT.glob("docs/*.md")),
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    ROOT / "emulator" / "README.md",
    *sorted(ROOT.glob("examples/*/README.md")),
]

_BLOCK = re.compile(
    r"^(#+) ([^\n]+)$|(?:^ *<!-- needs ([^\n]+) -->\n)?^( *)```(\w*)\n(.*?)^\4```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        document: Its file, relative to the repository.
        section: The heading above it.
        number: Which block of the document it is, from 1.
        language: As the fence names it; empty for a picture.
        text: What is in it, without the indentation of a list.
        needs: What the mark above it says that it needs; empty without one.
    """

    document: str
    section: str
    number: int
    language: str
    text: str
    needs: str

    def __str__(self) -> str:
        return f"{self.document}-{self.number}"


def blocks(document: Path) -> Iterator[Block]:
    section, number = "", 0
    for found in _BLOCK.finditer(document.read_text(encoding="utf-8")):
        _, title, needs, _, language, text = found.groups()
        if title:
            section = title
            continue
        number += 1
        name = str(document.relative_to(ROOT))
        yield Block(name, section, number, language, textwrap.dedent(text), needs or "")


def as_lines(text: str) -> str:
    """A text of which indentation and a list's dashes are left out, so that a part of it can be found."""
    return "".join(f"{line.strip().removeprefix('- ')}\n" for line in text.splitlines())
