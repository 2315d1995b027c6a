"""Dividing projects into groups of about equal work."""

import os
from pathlib import Path

import pytest

from gar_publish.errors import BadInput
from gar_publish.projects.find import Project, find
from gar_publish.projects.shards import MOST, divide, matrix

MIB = 1 << 20


def make(folder: Path, *requires: str, size: int = 0) -> Project:
    folder.mkdir()
    with (folder / "data").open("wb") as file:
        file.truncate(size)
    return Project(folder, folder.name, folder.name, build_requires=frozenset(requires))


def names(groups: list[list[Project]]) -> list[list[str]]:
    return [[project.label for project in group] for group in groups]


def test_the_same_build_requirements_stay_together(tmp_path: Path) -> None:
    backends = ("hatchling", "setuptools", "flit-core")
    projects = [make(tmp_path / f"{backend[0]}{number}", backend) for number in range(4) for backend in backends]
    assert names(divide(projects, 3)) == [[f"{name}{number}" for number in range(4)] for name in "fhs"]


def test_sizes_and_compilers_count(tmp_path: Path) -> None:
    small = [make(tmp_path / f"small{number}") for number in range(20)]
    large = make(tmp_path / "large", size=40 * MIB)
    compiled = make(tmp_path / "compiled", "cython", "setuptools")
    assert [len(group) for group in divide([large, *small], 2)] == [1, 20]
    assert names(divide([compiled, *small, large], 2)) == [[*(each.label for each in small), "large"], ["compiled"]]
    (large.folder / ".venv").mkdir()
    (large.folder / "data").rename(large.folder / ".venv/data")
    assert [len(group) for group in divide([large, *small], 3)] == [7, 7, 7]


def test_as_many_as_pay_for_their_start(tmp_path: Path) -> None:
    projects = [make(tmp_path / f"p{number}") for number in range(3)]
    assert len(divide(projects)) == 1
    assert len(divide(projects, MOST)) == 3
    assert len(divide(projects * 1300)) == 1
    assert [len(group) for group in divide(projects * 2000)] == [1000] * 6
    assert divide([]) == []
    compiled = make(tmp_path / "compiled", "maturin")
    assert len(divide([compiled] * 200)) == 200


def test_files_that_cannot_be_examined_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    projects = [make(tmp_path / "a"), make(tmp_path / "b", size=MIB)]

    def no_access(_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "lstat", no_access)
    assert names(divide(projects, 2)) == [["a"], ["b"]]


def test_refuses_a_build_requirement_that_another_job_would_build(tmp_path: Path) -> None:
    tool, app = make(tmp_path / "tool", "setuptools"), make(tmp_path / "app", "setuptools", "tool")
    with pytest.raises(BadInput, match="The build of app needs tool, which is in this plan"):
        divide([tool, app], 2)
    assert len(divide([app], 2)) == 1


def test_each_group_selects_its_projects_alone(tmp_path: Path) -> None:
    """The root of a workspace stands for its members, too."""
    (tmp_path / "root/members/one.egg-info").mkdir(parents=True)  # the other machines may have none
    for name in ("root", "root/members/one", "root/members/two", "-three", "!four"):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / name / "pyproject.toml").write_text(f'[build-system]\n[project]\nname = "{name[-4:]}"\n')
    with (tmp_path / "root/pyproject.toml").open("a") as file:
        file.write('[tool.uv.workspace]\nmembers = ["members/*"]\n')
    root, one, two, three, four = find(["root", "-three", "./!four"], tmp_path)
    groups = [[root, one], [root], [two, three], [three], [four]]
    jobs = matrix(groups)["include"]
    assert jobs[0]["folders"] == "root\n!root/members/two\nroot/members/one"
    assert jobs[3]["folders"] == "./-three"
    for group, job in zip(groups, jobs, strict=True):
        assert find(job["folders"].split("\n"), tmp_path) == group


def test_matrix(tmp_path: Path) -> None:
    groups = divide([make(tmp_path / name) for name in "abc"], 2)
    assert matrix(groups) == {"include": [{"shard": 1, "folders": "a"}, {"shard": 2, "folders": "b\nc"}]}
