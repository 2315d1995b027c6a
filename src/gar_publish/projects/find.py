"""What is to be published: the project folders, and the order between them."""

import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gar_publish.errors import BadInput
from gar_publish.projects import globs, graph, metadata, workspaces
from gar_publish.projects.metadata import table


@dataclass(frozen=True)
class Project:
    """A folder that a build backend can make distributions from, and what its files say before it is built.

    Args:
        folder: Where it is, absolute.
        label: How the user called it, for messages.
        name: Its name, normalised; None where only the backend knows it.
        version: Its version, normalised; None likewise.
        requires: The names that it requires at run time, those of extras aside; None likewise.
        optional: The names that its extras alone require.
        build_requires: The names that its build requires.
    """

    folder: Path
    label: str
    name: str | None = None
    version: str | None = None
    requires: frozenset[str] | None = None
    optional: frozenset[str] = frozenset()
    build_requires: frozenset[str] = frozenset()

    @property
    def key(self) -> str:
        """Its name, or where it is, which is no package's name."""
        return self.name or str(self.folder)


def find(patterns: Sequence[str], root: Path) -> list[Project]:
    """The projects that folders and globs name, in their order, each once.

    A glob passes over what is no project (`packages/*` may hold a README too); a folder that is named must be
    one. The root of a workspace stands for the workspace's members.

    Args:
        patterns: Folders or globs, relative to `root` unless absolute. `**` goes through all folders below.
        root: The folder that the user stands in: the workspace or the current folder.

    Raises:
        BadInput: A folder is not there or holds no project, a glob matches no project, a pyproject.toml is not TOML,
            or two projects have one name.
    """
    found: dict[Path, Project] = {}
    for pattern in patterns:
        try:
            globbed = globs.is_glob(pattern, root)
            folders = globs.folders(pattern, root) if globbed else [_named(pattern, root)]
            packages = [project for folder in folders for project in _packages(folder, root, named=not globbed)]
        except (OSError, ValueError) as error:
            raise BadInput(
                f"{pattern[:100]!r} in `packages` cannot be looked up: {getattr(error, 'strerror', None) or error}.",
                fix="give project folders or globs in `packages`, one per line",
                anchor="no-project",
            ) from None
        if not packages:
            raise _nothing(pattern, root, globbed=globbed)
        for package in packages:
            found.setdefault(package.folder, package)
    _refuse_one_name_twice(found.values())
    return list(found.values())


def requirements(projects: Sequence[Project]) -> dict[str, set[str]]:
    """The graph between projects: the key of each with those that have to be in the index before it.

    Requirements of extras and of builds count, unless they would close a cycle.
    """
    return graph.requirements(
        {project.key: project.requires or frozenset() for project in projects},
        {project.key: project.optional | project.build_requires for project in projects},
    )


def in_waves(projects: Sequence[Project]) -> list[list[Project]]:
    """Group projects so that each comes in a later wave than those that have to be in the index before it.

    Raises:
        BadInput: Projects require each other in a cycle.
    """
    by_key = {project.key: project for project in projects}
    return [[by_key[key] for key in wave] for wave in graph.waves(requirements(projects))]


def _packages(folder: Path, root: Path, *, named: bool) -> Iterator[Project]:
    """The project in a folder, or the packages of the workspace whose root the folder is."""
    declared = _toml(folder / "pyproject.toml", root)
    members = workspaces.members(folder, declared, _toml(folder / "hatch.toml", root))
    if members is None:
        if _is_project(folder) and (named or workspaces.is_package(declared)):
            yield _project(folder, root, declared)
        return
    of_uv = "workspace" in table(declared, "tool", "uv")
    for each in (folder, *members):
        declared = _toml(each / "pyproject.toml", root)
        is_project = "project" in declared or "poetry" in table(declared, "tool") or (each / "setup.py").is_file()
        if is_project and workspaces.is_package(declared, of_uv=of_uv):
            yield _project(each, root, declared)


def _is_project(folder: Path) -> bool:
    return (folder / "pyproject.toml").is_file() or (folder / "setup.py").is_file()


def _project(folder: Path, root: Path, declared: dict[str, Any]) -> Project:
    return Project(folder.resolve(), _label(folder, root), *metadata.read(folder, declared))


def _label(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _nothing(pattern: str, root: Path, *, globbed: bool) -> BadInput:
    if not globbed:
        return BadInput(
            f"The workspace {pattern!r} has no member that is a package.",
            cause=f"It was looked up in {root}. A member with `package = false` is no package, nor is one without a"
            " [build-system] in a workspace of uv.",
            fix="correct the workspace's `members`, or give project folders in `packages`",
            anchor="no-project",
        )
    matched = globs.matches(pattern, root)
    return BadInput(
        f"The pattern {pattern!r} matches no Python project.",
        cause=f"It is looked up from {root}, and matches {len(matched)} files or folders; none of them is a folder"
        " with a pyproject.toml or a setup.py, or uv is told `package = false` there.",
        fix="Correct the pattern in `packages`. If the source is not there at all, check it out first"
        " (actions/checkout).",
        anchor="no-project",
    )


def _named(name: str, root: Path) -> Path:
    folder = root / name
    if folder.name in {"pyproject.toml", "setup.py"}:
        folder = folder.parent
    if not folder.is_dir():
        raise BadInput(
            f"There is no folder {name!r} in {root}.",
            cause="A spelling mistake, or the source was not checked out before this step (actions/checkout).",
            fix="Give project folders or globs in `packages`, one per line.",
            anchor="no-project",
        )
    if not _is_project(folder):
        raise BadInput(
            f"The folder {name!r} holds no Python project: it has neither a pyproject.toml nor a setup.py.",
            cause=f"It was looked up in {root}.",
            fix="Give the project's own folder in `packages` (a glob such as `packages/*` is fine), or what is built"
            " already in `dist`.",
            anchor="no-project",
        )
    return folder


def _toml(file: Path, root: Path) -> dict[str, Any]:
    """A TOML file's content; empty where there is no file."""
    if not file.is_file():
        return {}
    try:
        return tomllib.loads(file.read_bytes().decode())
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, or 5,000 brackets, is no TOML either
        raise BadInput(
            f"{_label(file, root)} is not valid TOML: {error}.",
            fix="Correct the file at that place.",
            anchor="invalid-pyproject",
        ) from error


def _refuse_one_name_twice(projects: Iterable[Project]) -> None:
    by_name: dict[str, Project] = {}
    for project in projects:
        other = by_name.setdefault(project.key, project)
        if other is not project:
            raise same_name(project.key, other, project)


def same_name(name: str, one: Project, other: Project) -> BadInput:
    """What is said of two projects with one name."""
    return BadInput(
        f"{one.label} and {other.label} are both called {name}.",
        cause="One of them is a copy of the other, or a name differs in nothing but -, _, . and capitals.",
        fix="Rename one in its pyproject.toml, or leave one out of `packages`.",
        anchor="same-project-twice",
    )
