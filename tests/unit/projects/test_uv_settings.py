"""Warnings about settings of uv that builds do not use."""

from pathlib import Path

import pytest

from gar_publish.projects.find import Project
from gar_publish.projects.uv_settings import unused

WORKSPACE = '[tool.uv.workspace]\nmembers = ["*"]\n'


def warnings(tmp_path: Path, own: str, above: str = "") -> list[str]:
    """The warnings for a project in a folder with another pyproject.toml above it."""
    project = tmp_path / "one"
    project.mkdir()
    (project / "pyproject.toml").write_text(own)
    (tmp_path / "pyproject.toml").write_text(above)
    return list(unused([Project(project, "one", build_requires=frozenset({"tool"}))]))


@pytest.mark.parametrize(
    ("own", "above", "names"),
    [
        ('[tool.uv]\nexclude-newer = "2024-01-01"\nindex-url = "x"\n', "", "exclude-newer, index-url"),
        ("", f'{WORKSPACE}[tool.uv]\nbuild-constraint-dependencies = ["a<2"]\n', "build-constraint-dependencies"),
        ('[[tool.uv.index]]\nname = "a"\nurl = "x"\n', "", "index"),
        ('[tool.uv]\nindex-url = "x"\nindex-strategy = "first-index"\n', "", "index-strategy, index-url"),
        ("[tool.uv.sources]\ntool = { workspace = true }\n", "", "sources"),
    ],
)
def test_names_what_is_not_used(tmp_path: Path, own: str, above: str, names: str) -> None:
    (warning,) = warnings(tmp_path, own, above)
    file = tmp_path / ("one/pyproject.toml" if own else "pyproject.toml")
    assert f"does not use {names} of [tool.uv] in {file} for" in warning


@pytest.mark.parametrize(
    ("own", "above"),
    [
        ("", ""),
        ("", '[tool.uv]\nexclude-newer = "2024-01-01"\n'),  # no workspace
        ('[[tool.uv.index]]\nname = "a"\nurl = "x"\nexplicit = true\n', ""),
        ("[tool.uv.sources]\nother = { workspace = true }\n", WORKSPACE),
        ('[tool.uv]\nexclude-newer = "2024-01-01"\n', WORKSPACE),  # uv reads that of the root alone
        ("", '[tool.uv]\nindex-url = "x"\n[tool.uv.workspace]\nmembers = ["other"]\n'),
        ("[tool.uv\n", "[tool]\nuv = 1\n"),
        ('[tool.uv]\ndev-dependencies = ["pytest"]\n', ""),
        ('[tool.uv]\nindex-strategy = "unsafe-best-match"\n', ""),  # with a single index
    ],
)
def test_says_nothing_of_other_settings(tmp_path: Path, own: str, above: str) -> None:
    assert warnings(tmp_path, own, above) == []


def test_says_what_many_files_have_once(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).mkdir()
        (tmp_path / name / "pyproject.toml").write_text('[tool.uv]\nexclude-newer = "2024-01-01"\n')
    (warning,) = unused(Project(tmp_path / name, name) for name in "abc")
    assert f"in {tmp_path / 'a' / 'pyproject.toml'} and 2 more for" in warning
