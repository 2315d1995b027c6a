"""Divide projects into groups of about equal work: each is built by a job of its own."""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gar_publish.errors import BadInput

if TYPE_CHECKING:  # the command line needs only the number
    from gar_publish.projects.find import Project

MOST = 256
"""Jobs of a matrix (https://docs.github.com/en/actions/reference/limits)."""

_START = 30.0
"""Seconds that a job needs for the machine, the checkout and the installation of gar-publish: an assumption."""

_PAYS = 4 * _START
"""Seconds of work below which one job is faster: many have to wait for two more starts, one after the other."""

_BUILD = 0.03
"""Seconds for a small project, on two cores, in the image (docs/benchmarks.md)."""

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
        count: How many groups at most; 0 for as many as take longer to build than to start, and one for little work.

    Raises:
        BadInput: One is a build requirement of another one: its job would take that from the public index.
    """
    _refuse_build_requirements(projects)
    alike = sorted(projects, key=lambda project: sorted(project.build_requires))
    seconds = [_seconds(project) for project in alike]
    total = math.fsum(seconds)
    automatic = int(total / _START) if total >= _PAYS else 1
    groups: list[list[Project]] = [[] for _ in range(min(count or automatic, MOST))]
    done = 0.0
    for project, each in zip(alike, seconds, strict=True):
        groups[int((done + each / 2) / total * len(groups))].append(project)
        done += each
    return [group for group in groups if group]


def _refuse_build_requirements(projects: Sequence["Project"]) -> None:
    from gar_publish.projects.find import requirements  # the command line needs only the number

    required = requirements(projects)
    for project in projects:
        for name in sorted(project.build_requires & required[project.key]):
            raise BadInput(
                f"The build of {project.title} needs {name}, which is in this plan, too.",
                cause="a job that builds one without the other would take it from the public index",
                fix="publish these projects in one run: gar-publish publish",
                anchor="build-requirements",
            )


def _seconds(project: "Project") -> float:
    """Return about how long the build takes."""
    compiles = not project.build_requires.isdisjoint(_COMPILERS)
    return _BUILD + compiles * _COMPILATION + sum(_sizes(project.folder)) / _BYTES_PER_SECOND


def _sizes(project: Path) -> Iterator[int]:
    for folder, folders, files in os.walk(project):
        folders[:] = [name for name in folders if name not in _NOT_BUILT and not name.startswith(".")]
        for file in files:
            with suppress(OSError):  # a folder whose files can be listed alone
                yield os.lstat(Path(folder, file)).st_size


def matrix(groups: Sequence[Sequence["Project"]]) -> dict[str, Any]:
    """Return a `strategy.matrix` for a workflow: a job for each group, with its folders, one per line."""
    jobs = [{"shard": number, "folders": "\n".join(_lines(group))} for number, group in enumerate(groups, start=1)]
    return {"include": jobs}


def _lines(group: Sequence["Project"]) -> Iterator[str]:
    """Yield the patterns that select a group's projects, and not the other members of a workspace with its root."""
    folders = [project.folder for project in group]
    for project in group:
        path = Path(project.label).as_posix()
        yield f"./{path}" if path.startswith(("-", "!")) else path  # neither an option nor an exclusion
        for member in project.members:
            inside = (project.folder / member).resolve()
            if not any(folder.is_relative_to(inside) for folder in folders):
                yield f"!{Path(project.label, member).as_posix()}"
