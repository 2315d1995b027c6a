"""Rehearses the packages of a run, with the files and the token of its repository."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, wait
from pathlib import Path

from gar_publish.builder.process import Works
from gar_publish.context import Context
from gar_publish.errors import Failure
from gar_publish.publish.build import scratch
from gar_publish.publish.destination import OF_ONE_FILE, Destination
from gar_publish.publish.schedule import Package
from gar_publish.rehearsal import published
from gar_publish.rehearsal.outcome import Rehearsal
from gar_publish.rehearsal.rehearse import LONGEST_JOIN, Plan, rehearsing
from gar_publish.settings.settings import Settings
from gar_publish.threads import in_background, result


def rehearse(
    packages: Sequence[Package],
    folders: Mapping[str, Path],
    settings: Settings,
    context: Context,
    *,
    destination: Destination,
    readers: Executor,
) -> Mapping[str, Sequence[Rehearsal]]:
    """Rehearse packages, and return what came of each, by its name.

    Args:
        packages: The packages, each of another name.
        folders: The folders of the projects, by package.
        settings: The inputs.
        context: Where the run happens.
        destination: The repository.
        readers: The threads that ask servers.

    Raises:
        Failure: No rehearsal can run here, or an index cannot be reached.
    """
    if not packages:
        return {}
    own = {package.name for package in packages}
    others = {name for package in packages for name in package.required | package.optional} - own
    # An index of another kind may have the public packages, too.
    siblings = own | (others if settings.repository.resource else set())
    listed = {name: readers.submit(_urls, name, destination) for name in siblings}
    private = readers.submit(destination.index_with_token)
    plan = Plan(
        files=[file for package in packages for file in package.files],
        folders={name: folder for name, folder in folders.items() if name in own},
        listed={name: result(urls) for name, urls in listed.items()},
        private=result(private),
        is_mixed=lambda: any(_may_have(name, destination) for name in sorted(others)),
        asked=settings.rehearse_python,
        command=settings.rehearse_command or "",
        seconds=settings.rehearse_timeout,
        jobs=settings.jobs,
    )
    title = "Rehearse 1 package" if len(packages) == 1 else f"Rehearse {len(packages)} packages"
    with context.console.group(title), rehearsing(plan, context) as rehearser:
        outcomes = result(in_background(rehearser.rehearse))
        for each in (each for name in outcomes for each in outcomes[name]):
            lines = [f"{each.state:<9}  {each.name} {each.version}, {each.title}", *each.problems, *each.notes]
            with context.console.untrusted() as show:
                for line in "\n".join(lines).splitlines():
                    show(line)
    return outcomes


def install_published(
    rehearsals: Sequence[Rehearsal],
    pins: Mapping[str, Sequence[str]],
    context: Context,
    destination: Destination,
) -> list[Rehearsal]:
    """Install what was published from the repository alone.

    Raises:
        Failure: There is no token that reads the repository.
    """
    works = Works()
    with scratch() as folder:

        def install() -> list[Rehearsal]:
            private = destination.index_with_token()
            return published.install(rehearsals, pins, private, context, scratch=folder, works=works)

        running = in_background(install)
        try:
            return result(running)
        finally:
            works.stop()
            wait([running], LONGEST_JOIN)


def _urls(name: str, destination: Destination) -> Mapping[str, str]:
    """Return the URLs of a project's files in the repository. If it does not answer, the upload will tell."""
    try:
        return {file: each.url for file, each in destination.files(name).items()}
    except OF_ONE_FILE:
        return {}


def _may_have(name: str, destination: Destination) -> bool:
    """Return whether the repository has a project, or does not tell."""
    try:
        return bool(destination.files(name))
    except Failure:
        return True
