"""Workspaces of uv and hatch."""

import tomllib
from pathlib import Path

import pytest

from gar_publish.projects.workspaces import is_package, members


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    for name in ("libs/a", "libs/b", "libs/old", "libs/deep/c", "tools/t", "../beside"):
        (folder / name).mkdir(parents=True)
    return folder


def found(root: Path, pyproject: str, hatch: str = "") -> list[str] | None:
    folders = members(root, tomllib.loads(pyproject), tomllib.loads(hatch))
    return None if folders is None else [folder.relative_to(root).as_posix() for folder in folders]


@pytest.mark.parametrize(
    ("pyproject", "names"),
    [
        ("", None),
        ("[tool.uv]\npackage = true", None),
        ('[tool.uv.workspace]\nmembers = ["libs/*"]', ["libs/a", "libs/b", "libs/deep", "libs/old"]),
        ('[tool.uv.workspace]\nmembers = ["tools/t", "libs/a", "libs/a"]', ["libs/a", "tools/t"]),
        ('[tool.uv.workspace]\nmembers = ["libs/*"]\nexclude = ["libs/o*", "libs/deep"]', ["libs/a", "libs/b"]),
        ('[tool.uv.workspace]\nmembers = ["libs/**"]\nexclude = ["libs", "**/deep", "libs/old/"]',
         ["libs/a", "libs/b", "libs/deep/c"]),
        ('[tool.uv.workspace]\nmembers = [".", "../beside", "libs/a", "none"]', ["libs/a"]),
        ("[tool.uv.workspace]\nmembers = []", []),
        ('[tool.uv.workspace]\nmembers = [3, ""]\nexclude = "libs"', []),
        ('[tool.hatch.envs.default]\nworkspace.members = ["libs/a", {path = "tools/*", features = ["x"]}]',
         ["libs/a", "tools/t"]),
        ('[tool.hatch.envs.default.workspace]\nmembers = ["libs/*"]\nexclude = ["libs/d*", "libs/old"]',
         ["libs/a", "libs/b"]),
        ('[tool.hatch.envs]\na.workspace.members = ["libs/a"]\nb.workspace.members = ["libs/b"]', ["libs/a", "libs/b"]),
        ("[tool.hatch.envs.default]\nworkspace = 3", None),
    ],
)  # fmt: skip
def test_members(root: Path, pyproject: str, names: list[str] | None) -> None:
    assert found(root, pyproject) == names


def test_hatch_toml(root: Path) -> None:
    said = '[envs.default]\nworkspace.members = ["libs/b"]'
    assert found(root, "", said) == ["libs/b"]
    assert found(root, '[tool.hatch.envs.default]\nworkspace.members = ["libs/a"]', said) == ["libs/b"]


@pytest.mark.parametrize(
    ("pyproject", "of_uv", "packaged"),
    [
        ("", False, True),
        ("", True, False),
        ("[build-system]", True, True),
        ("[tool.uv]\npackage = true", True, True),
        ("[build-system]\n[tool.uv]\npackage = false", False, False),
        ("[build-system]\n[tool.poetry]\npackage-mode = false", False, False),
    ],
)
def test_is_package(pyproject: str, *, of_uv: bool, packaged: bool) -> None:
    assert is_package(tomllib.loads(pyproject), of_uv=of_uv) is packaged
