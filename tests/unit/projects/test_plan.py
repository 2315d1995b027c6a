"""Selecting projects, and their matrix as JSON."""

import os
import shutil
from pathlib import Path

import pytest

from gar_publish.errors import BadInput
from gar_publish.projects.plan import matrix, select
from tests.git import commit


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
    selected = select(["libs/*"], root, changed_since=None, environment={}, warn=pytest.fail)
    assert [project.name for project in selected] == ["lib", None, "tool", "app"]


def test_matrix(root: Path) -> None:
    selected = select(["libs/*"], root, changed_since=None, environment={}, warn=pytest.fail)
    assert matrix(selected) == {
        "include": [
            {"name": "lib", "version": "1.0", "folder": "libs/lib", "requires": [], "wave": 0},
            {"name": None, "version": None, "folder": "libs/old", "requires": [], "wave": 0},
            {"name": "tool", "version": "1.0", "folder": "libs/tool", "requires": [], "wave": 0},
            {"name": "app", "version": "1.0", "folder": "libs/app", "requires": ["lib"], "wave": 1},
        ]
    }
    assert matrix([]) == {"include": []}


def test_only_changed_projects(root: Path) -> None:
    commit(root)
    said: list[str] = []

    def changed() -> list[str | None]:
        selected = select(["libs/*"], root, changed_since="HEAD", environment=os.environ, warn=said.append)
        return [project.name for project in selected]

    assert (changed(), said) == ([], [])
    (root / "libs/lib/x.py").touch()
    assert changed() == ["lib", "app"]
    assert said.pop().startswith("The dependencies of libs/old are not known before the build (`dynamic`, or setup.py)")
    (root / "libs/old/x.py").touch()
    assert (changed(), said) == (["lib", None, "app"], [])


def test_names_five_projects_whose_dependencies_are_unknown(root: Path) -> None:
    for number in range(6):
        (root / f"libs/old-{number}").mkdir()
        declared = f'[project]\nname = "old-{number}"\ndynamic = ["dependencies"]\n'
        (root / f"libs/old-{number}/pyproject.toml").write_text(declared)
    commit(root)
    (root / "libs/tool/x.py").touch()
    said: list[str] = []
    select(["libs/*"], root, changed_since="HEAD", environment=os.environ, warn=said.append)
    named = "libs/old, libs/old-0, libs/old-1, libs/old-2, libs/old-3 and 2 more are"
    assert [each.startswith(f"The dependencies of {named} not known before the build") for each in said] == [True]


def test_refuses_a_cycle(root: Path) -> None:
    (root / "libs/lib/pyproject.toml").write_text('[project]\nname = "lib"\ndependencies = ["app"]')
    with pytest.raises(BadInput, match="there is no order"):
        select(["libs/*"], root, changed_since=None, environment={}, warn=pytest.fail)


def complete(root: Path, *changed: str) -> list[str]:
    for name in changed:
        (root / name / "changed.py").write_text("x = 1\n")
    selected = select(["libs/*"], root, changed_since="HEAD", environment=os.environ, warn=pytest.fail, complete=True)
    return sorted(project.label for project in selected)


def test_a_complete_selection_has_all_that_its_projects_need(root: Path) -> None:
    for name in ("old", "app"):
        shutil.rmtree(root / "libs" / name)
    for name, declared in {
        "app": 'dependencies = ["lib"]\n[project.optional-dependencies]\nfast = ["extra"]',
        "lib": 'dependencies = ["deep"]',
        "deep": "",
        "extra": "",
        "user": '[project.optional-dependencies]\nlib = ["lib"]',
    }.items():
        (root / "libs" / name).mkdir(exist_ok=True)
        text = f'[project]\nname = "{name}"\nversion = "1.0"\n{declared}\n'
        (root / "libs" / name / "pyproject.toml").write_text(text)
    commit(root)
    assert complete(root) == []
    # `user` has it in an extra alone; `extra` is in an extra of `app`, which depends on what has changed.
    assert complete(root, "libs/lib") == ["libs/app", "libs/deep", "libs/extra", "libs/lib"]


def test_a_project_with_unknown_requirements_may_require_any(root: Path) -> None:
    commit(root)
    assert complete(root, "libs/tool") == ["libs/app", "libs/lib", "libs/old", "libs/tool"]
