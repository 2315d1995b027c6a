"""The documents agree with the code: tables, and a heading for every anchor that a failure names."""

import ast
import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SOURCES = sorted((ROOT / "src").rglob("*.py"))
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def anchors_in_code() -> set[str]:
    found = set()
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "anchor":
                found |= {
                    each.value
                    for each in ast.walk(node.value)
                    if isinstance(each, ast.Constant) and isinstance(each.value, str)
                }
    return found


def headings(document: Path) -> set[str]:
    """The anchors that GitHub gives to a document's headings."""
    titles = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_anchor_of_a_failure_is_a_heading_and_no_heading_is_left_over() -> None:
    troubleshooting = ROOT / "docs" / "troubleshooting.md"
    sections = set(re.findall(r"^### (.+)$", troubleshooting.read_text(), re.MULTILINE))
    assert anchors_in_code() == sections


def test_tables_are_those_of_action_yml() -> None:
    tables = runpy.run_path(str(ROOT / "docs" / "tables.py"))
    readme = (ROOT / "README.md").read_text()
    assert tables["filled"](readme, (ROOT / "action.yml").read_text()) == readme


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        assert not anchor or anchor in headings(target), link
