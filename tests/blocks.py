"""The fenced code blocks of the documents, each with its section and its `<!-- needs … -->` mark."""

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
        document: The path of its file, relative to the repository.
        section: The heading above it.
        number: Its position in the document, from 1.
        language: The language after the opening fence; empty for a diagram.
        text: Its content, without the indentation of a list.
        needs: The text of the mark above it; empty without a mark.
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
    """Yield the blocks of a document, in order."""
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
    """Return a text without indentation and list dashes, so that parts of YAML can be compared."""
    return "".join(f"{line.strip().removeprefix('- ')}\n" for line in text.splitlines())
