"""What gar-publish and gar-emulator import, against what each pyproject.toml declares."""

import ast
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import ROOT

EXTRAS = {"github": "action", "cli": "emulator"}
"""The extra that a room of gar-publish may import."""


def imported(file: Path) -> set[str]:
    """Return the top-level modules that a file imports, without those of Python and of its own distribution."""
    found = set[str]()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).partition(".")[0])
    return found - sys.stdlib_module_names


@pytest.mark.parametrize(("project", "package"), [(ROOT, "gar_publish"), (ROOT / "emulator", "gar_emulator")])
def test_every_import_is_declared(project: Path, package: str) -> None:
    table = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    brought = {module: set(map(canonicalize_name, names)) for module, names in packages_distributions().items()}
    brought.setdefault("gar_emulator", {canonicalize_name("gar-emulator")})  # an editable install lists no modules
    source = project / "src" / package
    undeclared = set()
    for file in source.rglob("*.py"):
        lines = list(table["dependencies"])
        if extra := EXTRAS.get(file.relative_to(source).parts[0]) if package == "gar_publish" else None:
            lines += table["optional-dependencies"][extra]
        declared = {canonicalize_name(Requirement(line).name) for line in lines}
        undeclared |= {
            f"{file.relative_to(source)}: {module}"
            for module in imported(file) - {package}
            if not brought[module] & declared
        }
    assert undeclared == set()
