"""Finding project folders."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from gar_publish.errors import BadInput
from gar_publish.projects import Project, find


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository of several packages, with much around them."""
    for name in ("alpha", "beta", "deep/gamma"):
        (tmp_path / "packages" / name).mkdir(parents=True)
        (tmp_path / "packages" / name / "pyproject.toml").write_text("[project]\n")
    (tmp_path / "packages/legacy").mkdir()
    (tmp_path / "packages/legacy/setup.py").touch()
    (tmp_path / "packages/README.md").touch()
    (tmp_path / "packages/docs").mkdir()
    (tmp_path / "packages/.venv").mkdir()
    (tmp_path / "packages/.venv/setup.py").touch()
    (tmp_path / "we[i]rd").mkdir()
    (tmp_path / "we[i]rd/setup.py").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("patterns", "labels"),
    [
        (["packages/alpha"], ["packages/alpha"]),
        (["packages/alpha/"], ["packages/alpha"]),
        (["packages/alpha/pyproject.toml"], ["packages/alpha"]),
        (["./packages/beta", "packages/alpha"], ["packages/beta", "packages/alpha"]),
        (["packages/*"], ["packages/alpha", "packages/beta", "packages/legacy"]),
        (["packages/**"], ["packages/alpha", "packages/beta", "packages/deep/gamma", "packages/legacy"]),
        (["packages/*", "packages/alpha"], ["packages/alpha", "packages/beta", "packages/legacy"]),
        (["packages/alpha/../beta", "packages/beta"], ["packages/alpha/../beta"]),
        (["we[i]rd"], ["we[i]rd"]),
    ],
)
def test_folders_and_globs(root: Path, patterns: Sequence[str], labels: Sequence[str]) -> None:
    assert [project.label for project in find(patterns, root)] == labels


def test_folders_are_absolute(root: Path) -> None:
    assert find(["packages/legacy"], root) == [Project(root / "packages/legacy", "packages/legacy")]


def test_the_root_itself_and_absolute_paths(root: Path) -> None:
    (root / "setup.py").touch()
    assert find(["."], root) == [Project(root, ".")]
    elsewhere = root / "packages/legacy"
    assert find([str(elsewhere)], root / "packages/beta") == [Project(elsewhere, str(elsewhere))]


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("packages/none", "There is no folder 'packages/none'"),
        ("packages/docs", "'packages/docs' holds no Python project"),
        ("packages/README.md", "There is no folder 'packages/README.md'"),
        ("nothing/*", "The pattern 'nothing/*' matches no Python project"),
        ("packages/d[o]cs", "The pattern 'packages/d[o]cs' matches no Python project"),
    ],
)
def test_no_project(root: Path, pattern: str, said: str) -> None:
    with pytest.raises(BadInput) as caught:
        find([pattern], root)
    assert said in caught.value.what
    assert caught.value.anchor == "no-project"


@pytest.mark.parametrize("content", [b"[project]\nname = \n", b"[project]\nname = '\xff'\n"])
def test_a_pyproject_that_is_no_toml(root: Path, content: bytes) -> None:
    (root / "packages/beta/pyproject.toml").write_bytes(content)
    with pytest.raises(BadInput) as caught:
        find(["packages/*"], root)
    assert caught.value.what.startswith(str(Path("packages/beta/pyproject.toml")))
    assert caught.value.anchor == "invalid-pyproject"


def test_the_line_of_a_toml_mistake_is_told(root: Path) -> None:
    (root / "packages/beta/pyproject.toml").write_text("[project]\nname = \n")
    with pytest.raises(BadInput, match="line 2"):
        find(["packages/beta"], root)


@pytest.mark.parametrize(
    ("toml", "name"),
    [
        ('[project]\nname = "My.Package"', "my-package"),
        ("[project]\nversion = '1'", None),
        ('project = "x"', None),
        ("", None),
    ],
)
def test_the_declared_name_is_read(tmp_path: Path, toml: str, name: str | None) -> None:
    (tmp_path / "pyproject.toml").write_text(toml)
    (project,) = find(["."], tmp_path)
    assert project.name == name
