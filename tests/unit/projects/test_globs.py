"""Matching globs."""

import os
from pathlib import Path

import pytest

from gar_publish.projects.globs import folders, is_glob, matches


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in (
        *("a/b/c", "a/.hidden/x", "a/node_modules/x", "venv/lib/x", "we[i]rd", "z/b/c"),
        "a/b/node_modules/y",
    ):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "venv/pyvenv.cfg").touch()
    (tmp_path / "a/file").touch()
    return tmp_path


def named(pattern: str, root: Path) -> list[str]:
    return [folder.relative_to(root).as_posix() for folder in folders(pattern, root)]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*", ["a", "venv", "we[i]rd", "z"]),
        ("a/*", ["a/b", "a/node_modules"]),
        ("a/.h*", ["a/.hidden"]),
        ("a/**", ["a", "a/b", "a/b/c"]),
        ("**", [".", "a", "a/b", "a/b/c", "we[i]rd", "z", "z/b", "z/b/c"]),
        ("**/c", ["a/b/c", "z/b/c"]),
        ("*/**/c", ["a/b/c", "z/b/c"]),
        ("**/b/**", ["a/b", "a/b/c", "z/b", "z/b/c"]),
        ("a/node_modules/**", ["a/node_modules", "a/node_modules/x"]),
        ("none/**", []),
    ],
)
def test_folders(root: Path, pattern: str, found: list[str]) -> None:
    assert named(pattern, root) == found
    assert named(f"{root / pattern}", root) == found


def test_skips_virtual_environments(root: Path) -> None:
    assert named("venv/**", root) == []
    assert named("venv/*", root) == ["venv/lib"]


def test_a_link_to_a_folder_above(root: Path) -> None:
    (root / "z/b/again").symlink_to(root / "z", target_is_directory=True)
    assert named("z/**", root) == ["z", "z/b", "z/b/c"] or os.name == "nt"


def test_the_name_of_an_existing_file_is_not_a_glob(root: Path) -> None:
    assert not is_glob("we[i]rd", root)
    assert is_glob("we[r]d", root)
    assert [path.name for path in matches("a/*", root)] == ["b", "file", "node_modules"]
