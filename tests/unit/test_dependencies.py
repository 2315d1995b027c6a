"""What gar-publish imports, and what pyproject.toml says that it requires."""

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent.parent
SOURCE = ROOT / "src" / "gar_publish"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OF_EXTRA = {"action.py": "action", "setup_action.py": "action", "runner.py": "action", "emulator": "emulator"}


def imported(file: Path) -> set[str]:
    """The top-level modules that a file imports, those of Python and its own aside."""
    found = set[str]()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).partition(".")[0])
    return found - sys.stdlib_module_names - {"gar_publish"}


def declared(file: Path) -> set[str]:
    """The packages that whoever runs a file has: the dependencies, and those of its extra."""
    lines = list(PROJECT["dependencies"])
    if extra := OF_EXTRA.get(file.relative_to(SOURCE).parts[0]):
        lines += PROJECT["optional-dependencies"][extra]
    return {canonicalize_name(Requirement(line).name) for line in lines}


def test_whatever_is_imported_is_declared() -> None:
    brought = {module: set(map(canonicalize_name, names)) for module, names in packages_distributions().items()}
    undeclared = {
        f"{file.relative_to(SOURCE)}: {module}"
        for file in SOURCE.rglob("*.py")
        for module in imported(file)
        if not brought[module] & declared(file)
    }
    assert undeclared == set()
