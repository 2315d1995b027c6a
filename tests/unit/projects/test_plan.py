"""Selecting projects, and their matrix as JSON."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from gar_publish.errors import BadInput
from gar_publish.projects.plan import as_json, select


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, required in {"app": ["lib", "numpy"], "lib": [], "tool": []}.items():
        (tmp_path / "libs" / name).mkdir(parents=True)
        declared = f'name = "{name}"\nversion = "1.0"\ndependencies = {required}\n'
        (tmp_path / "libs" / name / "pyproject.toml").write_text(f"[project]\n{declared}")
    (tmp_path / "libs/old").mkdir()
    (tmp_path / "libs/old/setup.py").touch()
    return tmp_path


def test_required_projects_come_first(root: Path) -> None:
    selected = select(["libs/*"], root, changed_since=None, environment={})
    assert [project.name for project in selected] == ["lib", None, "tool", "app"]


def test_matrix(root: Path) -> None:
    selected = select(["libs/*"], root, changed_since=None, environment={})
    text = as_json(selected)
    assert "\n" not in text
    assert json.loads(text) == {
        "include": [
            {"name": "lib", "version": "1.0", "folder": "libs/lib", "requires": [], "wave": 0},
            {"name": None, "version": None, "folder": "libs/old", "requires": [], "wave": 0},
            {"name": "tool", "version": "1.0", "folder": "libs/tool", "requires": [], "wave": 0},
            {"name": "app", "version": "1.0", "folder": "libs/app", "requires": ["lib"], "wave": 1},
        ]
    }
    assert json.loads(as_json(selected, pretty=True)) == json.loads(text)
    assert as_json([]) == '{"include":[]}'


def test_only_changed_projects(root: Path) -> None:
    for command in ("init -q", "add .", "-c user.name=o -c user.email=o@example.org commit -qm Start"):
        subprocess.run(["git", *command.split()], cwd=root, check=True)
    (root / "libs/lib/x.py").touch()
    selected = select(["libs/*"], root, changed_since="HEAD", environment=os.environ)
    assert [project.name for project in selected] == ["lib", "app"]


def test_refuses_a_cycle(root: Path) -> None:
    (root / "libs/lib/pyproject.toml").write_text('[project]\nname = "lib"\ndependencies = ["app"]')
    with pytest.raises(BadInput, match="there is no order"):
        select(["libs/*"], root, changed_since=None, environment={})
