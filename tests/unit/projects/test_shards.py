"""Dividing projects into groups of about equal work."""

import json
from pathlib import Path

from gar_publish.projects.find import Project
from gar_publish.projects.shards import MOST, as_json, divide

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
    assert [len(group) for group in divide(projects * 600)] == [300] * 6
    assert divide([]) == []
    compiled = make(tmp_path / "compiled", "maturin")
    assert len(divide([compiled] * 200)) == 200


def test_json(tmp_path: Path) -> None:
    groups = divide([make(tmp_path / name) for name in "abc"], 2)
    text = as_json(groups)
    assert json.loads(text) == {"include": [{"shard": 1, "folders": "a"}, {"shard": 2, "folders": "b\nc"}]}
    assert "\n" not in text
    assert json.loads(as_json(groups, pretty=True)) == json.loads(text)
