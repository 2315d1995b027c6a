"""Settings of uv in pyproject.toml, of which gar-publish uses none for build requirements."""

import contextlib
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

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
    """Yield a warning for each file whose settings `uv build` would use for the build requirements of projects.

    `uv build` reads the `[tool.uv]` table of a project, or that of the uv workspace that it is in.
    https://docs.astral.sh/uv/concepts/configuration-files/
    """
    warned: dict[Path, set[str]] = {}
    for project in projects:
        for folder in (project.folder, *project.folder.parents):
            settings = _read(folder / "pyproject.toml")
            if folder == project.folder or "workspace" in settings:
                found = warned.setdefault(folder / "pyproject.toml", set())
                found |= _unused(settings, project)
            if "workspace" in settings:
                break
    for file, names in warned.items():
        if names:
            yield (
                f"gar-publish does not use {', '.join(sorted(names))} of [tool.uv] in {file} for build requirements. "
                "Set the variables of uv instead (UV_EXCLUDE_NEWER, UV_BUILD_CONSTRAINT, UV_INDEX)."
            )


def _unused(settings: Mapping[str, Any], project: Project) -> set[str]:
    found = {name for name in _NAMES if settings.get(name)}
    indexes = settings.get("index")
    if isinstance(indexes, list) and not all(isinstance(each, dict) and each.get("explicit") for each in indexes):
        found.add("index")
    if project.build_requires & table(settings, "sources").keys():
        found.add("sources")
    return found


def _read(file: Path) -> Mapping[str, Any]:
    with contextlib.suppress(OSError, ValueError, RecursionError):
        return table(tomllib.loads(file.read_text(encoding="utf-8")), "tool", "uv")
    return {}
