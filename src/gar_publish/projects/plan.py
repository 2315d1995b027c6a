"""Which projects a run is about, in which order, and the same as JSON."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from gar_publish.projects import find
from gar_publish.projects.find import Project


def select(
    patterns: Sequence[str], root: Path, *, changed_since: str | None, environment: Mapping[str, str]
) -> list[Project]:
    """Find projects, those first that others require.

    Args:
        patterns: Folders or globs, as `projects.find` takes them.
        root: The folder that the user stands in: the workspace or the current folder.
        changed_since: A commit: what has not changed since, nor requires what has, is left out. None leaves nothing
            out.
        environment: The environment's variables, for git.

    Raises:
        BadInput: Something is wrong with the patterns, the projects, or the commit.
    """
    found = find.find(patterns, root)
    if changed_since:
        from gar_publish.projects import git  # other runs do without

        found = git.changed(found, changed_since, root, environment)
    return [project for wave in find.in_waves(found) for project in wave]


def as_json(selected: Sequence[Project], *, pretty: bool = False) -> str:
    """What `strategy.matrix` of a workflow takes: a job for each project, with the wave that it is published in.

    Args:
        selected: The projects.
        pretty: Whether a person reads it; else it is one line.

    Raises:
        BadInput: Projects require each other in a cycle.
    """
    graph = find.requirements(selected)
    names = {project.key for project in selected if project.name}
    jobs = [
        {
            "name": project.name,
            "version": project.version,
            "folder": Path(project.label).as_posix(),
            "requires": sorted(graph[project.key] & names),
            "wave": number,
        }
        for number, wave in enumerate(find.in_waves(selected))
        for project in wave
    ]
    return json.dumps({"include": jobs}, indent=2) if pretty else json.dumps({"include": jobs}, separators=(",", ":"))
