"""docs/architecture.md says where to find what, and nothing is missing there."""

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SOURCE = ROOT / "src" / "gar_publish"
_TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([\w/.]+)`(?: \(beside `src`\))? \| (.+) \|$", _TEXT, re.MULTILINE)


def test_every_module_has_one_row_and_every_row_a_module() -> None:
    modules = [path.name for path in SOURCE.glob("*.py") if path.name != "__init__.py"]
    packages = [f"{path.parent.name}/" for path in SOURCE.glob("*/__init__.py")]
    assert Counter(name for name, _ in ROWS if name != "release/") == Counter(modules + packages)


def test_what_a_row_names_of_its_package_is_there() -> None:
    for package, idea in ROWS:
        folder = (ROOT if package == "release/" else SOURCE) / package
        for module in re.findall(r"`([a-z_]+)`", idea) if folder.is_dir() else ():
            assert (folder / f"{module}.py").is_file(), f"{package}{module}"


def test_modules_that_are_spoken_of_elsewhere_are_there() -> None:
    for name in re.findall(r"`([a-z_/]+\.py)`", _TEXT):
        assert any((folder / name).is_file() for folder in (SOURCE, ROOT)), name
