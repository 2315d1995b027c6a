"""Settings of uv in pyproject.toml, of which gar-publish uses none for build requirements."""

import contextlib
import functools
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gar_publish.projects import workspaces
from gar_publish.projects.find import Project
from gar_publish.projects.metadata import table

_NAMES = (
    "build-constraint-dependencies",
    "exclude-newer",
    "exclude-newer-package",
    "extra-build-dependencies",
    "extra-index-url",
    "find-links",
    "index-strategy",
    "index-url",
    "no-index",
)


def unused(projects: Iterable[Project]) -> Iterator[str]:
    """Yield a warning for each set of settings that `uv build` would use for the build requirements of projects.

    `uv build` reads the `[tool.uv]` table of a project; for a member of a uv workspace, that of the workspace's root,
    and of its own one only the sources.
    https://docs.astral.sh/uv/concepts/configuration-files/
    """
    read = functools.cache(lambda folder: _read(folder / "pyproject.toml"))
    members = functools.cache(lambda root: workspaces.members(root, {"tool": {"uv": read(root)}}, {}) or ())
    found: dict[Path, set[str]] = {}
    for project in projects:
        above = () if "workspace" in read(project.folder) else project.folder.parents
        root = next((each for each in above if project.folder in members(each)), project.folder)
        found.setdefault(root, set()).update(_settings(read(root)))
        for folder in (root, project.folder):
            if project.build_requires & table(read(folder), "sources").keys():
                found.setdefault(folder, set()).add("sources")
    files: dict[str, list[Path]] = {}
    for folder, names in found.items():
        files.setdefault(", ".join(sorted(names)), []).append(folder / "pyproject.toml")
    for listed, (file, *others) in files.items():
        if listed:
            more = f" and {len(others)} more" if others else ""
            yield (
                f"gar-publish does not use {listed} of [tool.uv] in {file}{more} for build requirements. "
                "Set the variables of uv instead (UV_EXCLUDE_NEWER, UV_BUILD_CONSTRAINT, UV_INDEX)."
            )


def _settings(settings: Mapping[str, Any]) -> set[str]:
    found = {name for name in _NAMES if settings.get(name)}
    indexes = settings.get("index")
    if isinstance(indexes, list) and not all(isinstance(each, dict) and each.get("explicit") for each in indexes):
        found.add("index")
    return set() if found == {"index-strategy"} else found  # which chooses between indexes


def _read(file: Path) -> Mapping[str, Any]:
    with contextlib.suppress(OSError, ValueError, RecursionError):
        return table(tomllib.loads(file.read_text(encoding="utf-8")), "tool", "uv")
    return {}
