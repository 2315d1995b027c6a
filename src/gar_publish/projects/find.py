"""Find the project folders to publish, and their order."""

import glob
import tomllib
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gar_publish.errors import BadInput
from gar_publish.projects import globs, graph, metadata, workspaces
from gar_publish.projects.metadata import table

_FIX = "give project folders, or globs such as `packages/*`, as `packages`"


@dataclass(frozen=True)
class Project:
    """A folder that a build backend can build, with what its files declare.

    Args:
        folder: The absolute path.
        label: The path as the user gave it, for messages.
        name: The normalised name; None if only the backend knows it.
        version: The normalised version; None if only the backend knows it.
        requires: The names of its requirements without extras; None if only the backend knows them.
        optional: The names that only its extras require, or that a plugin of its backend may add.
        build_requires: The names of its build requirements.
        members: The folders in it, if it is the root of a workspace, which stands for these members, too.
    """

    folder: Path
    label: str
    name: str | None = None
    version: str | None = None
    requires: frozenset[str] | None = None
    optional: frozenset[str] = frozenset()
    build_requires: frozenset[str] = frozenset()
    members: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The name, or the path of a project without one."""
        return self.name or str(self.folder)

    @property
    def title(self) -> str:
        """The label; that of the current folder would say nothing."""
        return (self.name or self.folder.name) if self.label == "." else self.label


def find(patterns: Sequence[str], root: Path) -> list[Project]:
    """Return the projects that folders and globs match, in this order, each once.

    A glob skips what is not a project (`packages/*` may match a README too); a folder must be one. The root of a
    workspace stands for the workspace's members. A pattern after `!` excludes folders, and what is below them.

    Args:
        patterns: Folders or globs, relative to `root` or absolute. `**` matches all folders below.
        root: The workspace or the current folder.

    Raises:
        BadInput: A folder does not exist or is not a project, a glob matches no project, a pyproject.toml is not TOML,
            or two projects have the same name.
    """
    found: dict[Path, Project] = {}
    excluded = {folder for pattern in patterns if pattern.startswith("!") for folder in _excluded(pattern, root)}
    for pattern in [each for each in patterns if not each.startswith("!")] or ["."]:
        _refuse_files(pattern)
        try:
            globbed = globs.is_glob(pattern, root)
            folders = globs.folders(pattern, root) if globbed else [_named(pattern, root)]
            packages = [each for folder in folders for each in _packages(folder, root, excluded, named=not globbed)]
        except (OSError, ValueError) as error:
            raise BadInput(
                f"`packages`: cannot read {pattern[:100]!r}: {getattr(error, 'strerror', None) or error}.",
                fix=_FIX,
                anchor="no-project",
            ) from None
        if not packages:
            raise _nothing(pattern, root, globbed=globbed)
        for package in packages:
            if not _is_below(package.folder, excluded):
                found.setdefault(package.folder, package)
    if not found:
        raise BadInput(
            "`packages` excludes every project that it selects.",
            fix="remove a pattern with `!` from `packages`",
            anchor="no-project",
        )
    _refuse_one_name_twice(found.values())
    return list(found.values())


def _excluded(pattern: str, root: Path) -> list[Path]:
    name = pattern.removeprefix("!")
    try:
        named = name if globs.is_glob(name, root) else glob.escape(name)
        folders = [folder.resolve() for folder in globs.folders(named, root)]
    except (OSError, ValueError):
        folders = []
    if not folders:
        raise BadInput(
            f"The pattern {pattern!r} excludes nothing: there is no such folder in {root}.",
            fix="correct the pattern in `packages`, or remove it",
            anchor="no-project",
        )
    return folders


def requirements(projects: Sequence[Project]) -> dict[str, set[str]]:
    """Return, for the key of each project, the keys that must be in the index before it.

    Requirements of extras and of builds count unless they would close a cycle.
    """
    return graph.requirements(
        {project.key: project.requires or frozenset() for project in projects},
        {project.key: project.optional | project.build_requires for project in projects},
    )


def in_waves(projects: Sequence[Project]) -> list[list[Project]]:
    """Group projects into waves: each comes in a later wave than the projects that must be in the index before it.

    Raises:
        BadInput: Projects require each other in a cycle.
    """
    by_key = {project.key: project for project in projects}
    return [[by_key[key] for key in wave] for wave in graph.waves(requirements(projects))]


def _packages(folder: Path, root: Path, excluded: AbstractSet[Path], *, named: bool) -> Iterator[Project]:
    """Yield the project in a folder, or the packages of a workspace. The files of excluded ones are not read."""
    if _is_below(folder, excluded):
        if _is_project(folder):
            yield Project(folder.resolve(), _label(folder, root))
        return
    declared = _toml(folder / "pyproject.toml", root, named=named)
    members = workspaces.members(folder, declared, _toml(folder / "hatch.toml", root, named=named))
    if members is None:
        if _is_project(folder) and (named or workspaces.is_package(declared)):
            yield from _alone(folder, root, declared, named=named)
        return
    of_uv = "workspace" in table(declared, "tool", "uv")
    found = []
    for each in (folder, *members):
        if _is_below(each, excluded):
            found.append((each, Project(each.resolve(), _label(each, root))))
            continue
        declared = _toml(each / "pyproject.toml", root)
        is_project = "project" in declared or "poetry" in table(declared, "tool") or (each / "setup.py").is_file()
        if is_project and workspaces.is_package(declared, of_uv=of_uv):
            found.append((each, _project(each, root, declared)))
    inside = tuple(each.relative_to(folder).as_posix() for each, _ in found if each != folder)
    for each, project in found:
        yield replace(project, members=inside) if each == folder else project


def _alone(folder: Path, root: Path, declared: dict[str, Any], *, named: bool) -> Iterator[Project]:
    """Yield the project in a folder that is no workspace, if its pyproject.toml has more than settings of tools."""
    project = _project(folder, root, declared)
    is_declared = project.name or project.version or {"project", "build-system"} & declared.keys()
    if is_declared or (folder / "setup.py").is_file():
        yield project
    elif named:
        raise _settings_alone(folder, root)


def _is_below(folder: Path, excluded: AbstractSet[Path]) -> bool:
    return bool(excluded) and not excluded.isdisjoint((real := folder.resolve(), *real.parents))


def _is_project(folder: Path) -> bool:
    return (folder / "pyproject.toml").is_file() or (folder / "setup.py").is_file()


def _project(folder: Path, root: Path, declared: dict[str, Any]) -> Project:
    return Project(folder.resolve(), _label(folder, root), *metadata.read(folder, declared))


def _label(path: Path, root: Path) -> str:
    label = str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
    return " ".join(label.splitlines())  # after a line break, the name of a folder would look like the fix


def _settings_alone(folder: Path, root: Path) -> BadInput:
    """Return the failure for a folder of which setuptools would build a package that is not declared, in version 0."""
    return BadInput(
        f"The folder {_label(folder, root)!r} is not a Python project: its pyproject.toml has settings of tools alone.",
        cause="its projects are in folders below, or its [project] or [build-system] table is missing",
        fix=_FIX,
        anchor="no-project",
    )


def _nothing(pattern: str, root: Path, *, globbed: bool) -> BadInput:
    if not globbed:
        return BadInput(
            f"The workspace {pattern!r} has no members that can be published.",
            cause="members with `package = false` are skipped, and so are uv workspace members without a [build-system]"
            f" table; paths are relative to {root}",
            fix="correct the workspace's `members`, or give project folders as `packages`",
            anchor="no-project",
        )
    matched = globs.matches(pattern, root)
    return BadInput(
        f"The pattern {pattern!r} matches no Python project.",
        cause=f"none of the {len(matched)} files and folders that it matches in {root} has a setup.py, or a "
        "pyproject.toml that declares a package",
        fix="correct the pattern in `packages`, or check out the source before this step (actions/checkout)",
        anchor="no-project",
    )


def _refuse_files(pattern: str) -> None:
    if pattern.endswith((".whl", ".tar.gz")):
        raise BadInput(
            f"{pattern!r} names files that are built already, not folders of projects.",
            fix=f"set `dist: {pattern}`",
            anchor="no-project",
        )


def _named(name: str, root: Path) -> Path:
    folder = root / name
    if folder.name in {"pyproject.toml", "setup.py"}:
        folder = folder.parent
    if not folder.is_dir():
        raise BadInput(
            f"There is no folder {name!r} in {root}.",
            cause="the path is misspelt, or the source was not checked out before this step (actions/checkout)",
            fix=_FIX,
            anchor="no-project",
        )
    if not _is_project(folder):
        if not any(folder.iterdir()):
            raise BadInput(
                f"The folder {name!r} is not a Python project: it is empty.",
                cause=f"the source was not checked out before this step; paths are relative to {root}",
                fix="check out the source before this step (actions/checkout), or give project folders as `packages`",
                anchor="no-project",
            )
        raise BadInput(
            f"The folder {name!r} is not a Python project: it has neither a pyproject.toml nor a setup.py.",
            cause=f"paths are relative to {root}",
            fix=f"give built files as `dist: {name}/*`" if any(folder.glob("*.whl")) else _FIX,
            anchor="no-project",
        )
    return folder


def _toml(file: Path, root: Path, *, named: bool = False) -> dict[str, Any]:
    """Return the content of a TOML file; empty if there is no file. Nobody would exclude a folder that was named."""
    if not file.is_file():
        return {}
    content = file.read_bytes()
    try:
        return tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, or 5,000 brackets
        raise BadInput(
            f"{_label(file, root)} is not valid TOML: {error}.",
            cause="it begins with a byte order mark (UTF-8 with BOM)" if content.startswith(BOM_UTF8) else "",
            fix="correct the file at this line"
            + ("" if named or file.parent == root else f", or add `!{_label(file.parent, root)}` to `packages`"),
            anchor="invalid-pyproject",
        ) from error


def _refuse_one_name_twice(projects: Iterable[Project]) -> None:
    by_name: dict[str, Project] = {}
    for project in projects:
        other = by_name.setdefault(project.key, project)
        if other is not project:
            raise same_name(project.key, other, project)


def same_name(name: str, one: Project, other: Project) -> BadInput:
    """Return the failure for two projects with the same name."""
    excluded = one if one.folder.is_relative_to(other.folder) else other  # an exclusion counts for all below it
    return BadInput(
        f"{one.label} and {other.label} have the same package name, {name}.",
        cause="one is a copy of the other, or the names are equal after normalisation",
        fix=f"rename one in its pyproject.toml, or exclude one: add `!{excluded.label}` to `packages`",
        anchor="same-project-twice",
    )
