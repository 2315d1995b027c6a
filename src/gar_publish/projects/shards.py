"""Divide projects into groups of about equal work: each is built by a job of its own."""

import json
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command line needs only the number
    from gar_publish.projects.find import Project

MOST = 256
"""Jobs of a matrix (https://docs.github.com/en/actions/reference/limits)."""

_START = 30.0
"""Seconds that a job needs for the machine, the checkout and the installation of gar-publish: an assumption."""

_BUILD = 0.1
"""Seconds for a small project, on two cores."""

_BYTES_PER_SECOND = 20_000_000
"""How fast larger ones are copied and compressed."""

_COMPILATION = 60.0
"""Seconds for a project with a compiler among its build requirements: an assumption."""

_COMPILERS = frozenset(
    {"cffi", "cmake", "cython", "maturin", "meson-python", "mypy", "nanobind", "ninja", "numpy", "pybind11"}
    | {"py-build-cmake", "scikit-build", "scikit-build-core", "setuptools-rust"}
)
_NOT_BUILT = frozenset({"node_modules", "venv"})


def divide(projects: Sequence["Project"], count: int = 0) -> list[list["Project"]]:
    """Return groups of projects that take about equally long to build, none of them empty.

    Projects with the same build requirements are neighbours, so that few groups install the same ones.

    Args:
        projects: The projects.
        count: How many groups at most; 0 for as many as take longer to build than to start.
    """
    alike = sorted(projects, key=lambda project: sorted(project.build_requires))
    seconds = [_seconds(project) for project in alike]
    total = math.fsum(seconds)
    groups: list[list[Project]] = [[] for _ in range(min(max(count or int(total / _START), 1), MOST))]
    done = 0.0
    for project, each in zip(alike, seconds, strict=True):
        groups[int((done + each / 2) / total * len(groups))].append(project)
        done += each
    return [group for group in groups if group]


def _seconds(project: "Project") -> float:
    """Return about how long the build takes."""
    compiles = not project.build_requires.isdisjoint(_COMPILERS)
    return _BUILD + compiles * _COMPILATION + sum(_sizes(project.folder)) / _BYTES_PER_SECOND


def _sizes(project: Path) -> Iterator[int]:
    for folder, folders, files in os.walk(project):
        folders[:] = [name for name in folders if name not in _NOT_BUILT and not name.startswith(".")]
        yield from (os.lstat(Path(folder, file)).st_size for file in files)


def as_json(groups: Sequence[Sequence["Project"]], *, pretty: bool = False) -> str:
    """Return a `strategy.matrix` for a workflow: a job for each group, with its folders, one per line.

    Args:
        groups: The groups.
        pretty: Whether to indent the JSON; otherwise it is one line.
    """
    jobs = [
        {"shard": number, "folders": "\n".join(Path(project.label).as_posix() for project in group)}
        for number, group in enumerate(groups, start=1)
    ]
    return json.dumps({"include": jobs}, indent=2 if pretty else None, separators=None if pretty else (",", ":"))
