"""Select the projects of a run in their order, and make a matrix of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gar_publish.projects import find, graph
from gar_publish.projects.find import Project

_NAMED = 5
"""Projects that a warning names; the rest are counted."""


def select(
    patterns: Sequence[str],
    root: Path,
    *,
    changed_since: str | None,
    environment: Mapping[str, str],
    warn: Callable[[str], None],
    complete: bool = False,
) -> list[Project]:
    """Return the projects, each after those it requires.

    Args:
        patterns: Folders or globs, as for `find`.
        root: The workspace or the current folder.
        changed_since: A commit: only projects that have changed since, and those that require them. None for all.
        environment: All environment variables, for git.
        warn: Called with a sentence about projects that are left out, but may require one that has changed.
        complete: Whether to take, with the projects that have changed, also everything that they require, or may
            require.

    Raises:
        BadInput: Something is wrong with the patterns, the projects, or the commit.
    """
    found = find.find(patterns, root)
    if changed_since:
        from gar_publish.projects import git  # other runs do not need it

        if complete:
            return _in_order(_with_needed(found, git.touched(found, changed_since, root, environment)))
        every, found = found, git.changed(found, changed_since, root, environment)
        unknown = [each.title for each in every if each.requires is None and each not in found]
        if found and unknown:
            warn(_dependencies_unknown(unknown))
    return _in_order(found)


def _in_order(projects: Sequence[Project]) -> list[Project]:
    return [project for wave in find.in_waves(projects) for project in wave]


def _with_needed(projects: Sequence[Project], touched: Iterable[str]) -> list[Project]:
    """Return the touched projects, those that require any of them, and all that these require.

    What only an extra requires must be there, too. Where the requirements are not known before the build, a project may
    require any other.
    """
    keys = frozenset(project.key for project in projects)
    required = {each.key: (keys if each.requires is None else each.requires) | each.build_requires for each in projects}
    wanted = graph.needed(
        {each.key: required[each.key] | each.optional for each in projects}, graph.dependents(required, touched)
    )
    return [project for project in projects if project.key in wanted]


def _dependencies_unknown(labels: Sequence[str]) -> str:
    rest = f" and {len(labels) - _NAMED} more" if len(labels) > _NAMED else ""
    return (
        f"The dependencies of {', '.join(labels[:_NAMED])}{rest} are not known before the build (`dynamic`, or"
        " setup.py). These projects have not changed themselves, so they are left out, even if they depend on a project"
        " that has changed."
    )


def matrix(selected: Sequence[Project]) -> dict[str, Any]:
    """Return a `strategy.matrix` for a workflow: a job for each project, with the wave it is published in.

    Raises:
        BadInput: Projects require each other in a cycle.
    """
    required = find.requirements(selected)
    names = {project.key for project in selected if project.name}
    jobs = [
        {
            "name": project.name,
            "version": project.version,
            "folder": Path(project.label).as_posix(),
            "requires": sorted(required[project.key] & names),
            "wave": number,
        }
        for number, wave in enumerate(find.in_waves(selected))
        for project in wave
    ]
    return {"include": jobs}
