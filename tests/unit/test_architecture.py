"""docs/architecture.md says where to find what, and nothing is missing there."""

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SOURCE = ROOT / "src" / "gar_publish"
PACKAGES = {f"{path.parent.name}/": path.parent for path in SOURCE.glob("*/__init__.py")}
BESIDE = {f"{path.parent.name}/": path.parent for path in ROOT.glob("[!.]*/*.py") if path.parent.name != "tests"}
_TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([\w/.]+)`(?: \([^)|]+\))? \| (.+) \|$", _TEXT, re.MULTILINE)


def test_every_module_has_one_row_and_every_row_a_module() -> None:
    modules = [path.name for path in SOURCE.glob("*.py") if path.name != "__init__.py"]
    assert Counter(name for name, _ in ROWS if name.endswith(".py")) == Counter(modules)
    assert {name for name, _ in ROWS if name.endswith("/")} == {*PACKAGES, *BESIDE}


@pytest.mark.parametrize("package", sorted(PACKAGES | BESIDE))
def test_the_rows_of_a_package_name_each_of_its_modules_once(package: str) -> None:
    named = re.findall(r"`([a-z_]+)`", " ".join(idea for name, idea in ROWS if name == package))
    modules = [path.stem for path in (PACKAGES | BESIDE)[package].glob("*.py") if not path.stem.startswith("__")]
    assert sorted(named) == sorted(modules)


def test_modules_that_are_spoken_of_elsewhere_are_there() -> None:
    for name in re.findall(r"`([a-z_/]+\.py)`", _TEXT):
        assert any((folder / name).is_file() for folder in (SOURCE, ROOT)), name
