"""Find the members of uv and hatch workspaces."""

import fnmatch
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gar_publish.projects import globs
from gar_publish.projects.metadata import table


def members(root: Path, pyproject: Mapping[str, Any], hatch_toml: Mapping[str, Any]) -> list[Path] | None:
    """Return the members of a workspace, sorted; None if the folder is not the root of a workspace.

    Folders outside of the root are not members: a hatch environment may name any project of the machine. The members of
    a hatch environment count only if the root is not a package: hatch installs them for development.

    Args:
        root: The folder.
        pyproject: Its pyproject.toml.
        hatch_toml: Its hatch.toml, which may declare the same as the pyproject.toml.
    """
    found: dict[Path, None] = {}
    declared = list(_declared(pyproject, hatch_toml))
    for included, excluded in declared:
        without = {folder.resolve() for pattern in excluded for folder in globs.folders(pattern, root)}
        for folder in (folder for pattern in included for folder in globs.folders(pattern, root)):
            inside = folder.resolve()
            if inside in without or not inside.is_relative_to(root.resolve()) or inside == root.resolve():
                continue
            relative = inside.relative_to(root.resolve()).as_posix()
            if not any(fnmatch.fnmatchcase(relative, pattern) for pattern in excluded):
                found[folder] = None
    return sorted(found) if declared else None


def is_package(pyproject: Mapping[str, Any], *, of_uv: bool = False) -> bool:
    """Return whether uv or Poetry would build a project.

    See https://docs.astral.sh/uv/concepts/projects/config/#project-packaging and
    https://python-poetry.org/docs/basic-usage/#operating-modes.

    Args:
        pyproject: The project's pyproject.toml.
        of_uv: Whether it is in a uv workspace, where a project without a backend is not a package.
    """
    if table(pyproject, "tool", "poetry").get("package-mode") is False:
        return False
    declared = table(pyproject, "tool", "uv").get("package")
    return declared if isinstance(declared, bool) else not of_uv or "build-system" in pyproject


def _declared(pyproject: Mapping[str, Any], hatch_toml: Mapping[str, Any]) -> Iterator[tuple[list[str], list[str]]]:
    """Yield the patterns of each workspace's members, and of what it excludes.

    https://docs.astral.sh/uv/concepts/projects/workspaces/ and
    https://hatch.pypa.io/latest/how-to/environment/workspace/
    """
    uv, hatch = table(pyproject, "tool", "uv"), {**table(pyproject, "tool", "hatch"), **hatch_toml}
    environments = table(hatch, "envs")
    of_hatch = () if "project" in pyproject else (table(environments, name) for name in environments)
    for holder in (uv, *of_hatch):
        workspace = table(holder, "workspace")
        if workspace:
            yield _patterns(workspace.get("members")), _patterns(workspace.get("exclude"))


def _patterns(declared: object) -> list[str]:
    entries = declared if isinstance(declared, list) else []
    paths = [entry.get("path") if isinstance(entry, dict) else entry for entry in entries]
    return [path for path in paths if isinstance(path, str) and path and _stays_inside(path)]


def _stays_inside(pattern: str) -> bool:
    """Return whether a pattern cannot match a folder outside, which would only take time to search."""
    return not Path(pattern).is_absolute() and ".." not in Path(pattern).parts
