"""Plain words: no tracked text file uses an expression that this project has a plainer one for."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

PLAIN = {
    r"To mend it": "Fix:",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\bother bytes\b": "different contents",
    r"\bsame bytes\b": "identical",
    r"\bready line\b": "the install option",
    r"\bwhoever\b": "the user, the publisher, the caller",
    r"\bwhom\b": "name the person",
    r"\bonlookers?\b": "viewer",
    r"\bone a line\b": "one per line",
    r"\b0 picks\b": "0 = automatic",
    r"\bfails? alone\b": "fails on its own; the packages that depend on it are skipped",
    r"\bcircles?\b": "cycle",
    r"\bcould be had\b": "is not available",
    r"\bby analogy\b": "inferred",
}


def tracked_texts() -> dict[str, str]:
    """Return the tracked text files by their paths; pictures, locks and this file are left out."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    texts = {}
    for name in filter(None, listed.split("\0")):
        file = ROOT / name
        skipped = file.suffix in {".png", ".svg"} or name.startswith("requirements/") or file == Path(__file__)
        if not skipped and file.name != "LICENSE" and file.is_file():
            texts[name] = file.read_text(encoding="utf-8")
    return texts


@pytest.mark.parametrize(("pattern", "plain"), PLAIN.items())
def test_plain_words(pattern: str, plain: str) -> None:
    wrong = re.compile(pattern, re.IGNORECASE)
    found = [
        f"{name}:{number}: {line.strip()}"
        for name, text in tracked_texts().items()
        for number, line in enumerate(text.splitlines(), 1)
        if wrong.search(line)
    ]
    assert not found, f"say «{plain}»:\n" + "\n".join(found)
