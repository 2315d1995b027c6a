"""Select and build the projects of a run, and `dry-run: build`, which does nothing else."""

import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gar_publish.context import Context
from gar_publish.errors import BadInput, BuildFailure
from gar_publish.settings.settings import BuildSettings
from gar_publish.threads import in_background

if TYPE_CHECKING:
    from gar_publish.builder.builds import Built
    from gar_publish.builder.environments import Pins, PrivateIndex
    from gar_publish.distributions.distribution import Distribution
    from gar_publish.previews.origin import Preview
    from gar_publish.projects.find import Project
    from gar_publish.report.report import Report

_NAMED = 3


def build(settings: BuildSettings, context: Context) -> "Report":
    """Build and check the files that `publish` would upload, and leave them in a folder. It needs no identity.

    Raises:
        Failure: The only project cannot be built, files must not be published, or the folder cannot be written.
    """
    from gar_publish.distributions import distribution, prebuilt  # `publish` begins its builds before it imports them
    from gar_publish.projects import graph
    from gar_publish.publish.built import BuiltPackages
    from gar_publish.registry.outcomes import PublishedFile
    from gar_publish.report.report import Report

    context.console.info("No identity is used: nothing is compared with the registry, and nothing is uploaded.")
    projects = [] if settings.dist else select(settings, context)
    built = BuiltPackages(projects, context)
    with _building_alone(projects, settings, context) as builds:
        files = [file for package in built.read(builds) for file in package.files]
        if settings.dist:
            paths = prebuilt.collect(settings.dist, context.workspace)
            files = [distribution.read(path, built.credential) for path in paths]
            built.check(files)
        if settings.expected_version:
            distribution.check_expected([(file.filename, file.version) for file in files], settings.expected_version)
        graph.refuse_cycles({name: _required(name, files) for name in sorted({file.name for file in files})})
        if not settings.dist:
            built.warn(*_leave(files, context.workspace / settings.outdir, context))
        built.warn(*distribution.warnings(files))
    context.settled()
    return Report(
        repository=None,
        files=tuple(PublishedFile(file, "checked", file.sha256) for file in files),
        dry_run=True,
        verified=False,
        index_token="",
        token_expires_at=None,
        not_built=tuple(built.not_built),
        warnings=tuple(built.warnings),
    )


def select(settings: BuildSettings, context: Context, preview: "Preview | None" = None) -> "list[Project]":
    """Return the projects in the order of their builds: first those without a known name, which others may need.

    Args:
        settings: The inputs.
        context: Where the run happens.
        preview: The preview that is made of them; it has all that its packages need.

    Raises:
        BadInput: There are none, they contradict each other, or one has another version than the expected one.
    """
    from gar_publish.projects import plan

    since = settings.changed_since or (preview.base if preview else None)
    selected = plan.select(
        settings.packages,
        context.workspace,
        changed_since=since,
        environment=context.environment,
        warn=context.console.warning,
        complete=preview is not None,
    )
    if settings.expected_version:
        from gar_publish.distributions import distribution

        distribution.check_expected(
            ((project.title, project.version) for project in selected if project.version),
            settings.expected_version,
        )
    if not selected:
        context.console.info(f"Nothing has changed since {since}: there is nothing to do.")
    return sorted(selected, key=lambda project: project.name is not None)


@contextmanager
def building(
    projects: "Sequence[Project]",
    settings: BuildSettings,
    context: Context,
    *,
    private_index: "PrivateIndex",
    check: Callable[[], None] = lambda: None,
    leaves_copies: bool = True,
    pins: "Pins" = lambda _names: (),
) -> Iterator[Iterator["Built"]]:
    """Build projects while the context is open, as the settings ask for; see `builder.builds.building`."""
    from gar_publish.builder.builds import building  # a run that builds nothing does not need it

    with (
        scratch() as folder,
        building(
            projects,
            formats=settings.formats,
            out=folder,
            context=context,
            private_index=private_index,
            build_env=settings.build_env,
            jobs=settings.jobs,
            check=check,
            leaves_copies=leaves_copies,
            pins=pins,
        ) as builds,
    ):
        yield builds


@contextmanager
def scratch() -> Iterator[Path]:
    """Make a folder that exists while the context is open."""
    # On Windows, a file that a thread is sending cannot be removed.
    with tempfile.TemporaryDirectory(prefix="gar-publish-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _building_alone(
    projects: "Sequence[Project]", settings: BuildSettings, context: Context
) -> "AbstractContextManager[Iterator[Built]]":
    from gar_publish.publish.built import needed_for_builds

    needed = needed_for_builds(projects)

    def no_private_index(names: Collection[str]) -> None:
        for name in needed.intersection(names):
            raise BuildFailure(
                f"A build needs {name}, which `publish` uploads first. Without an identity, it cannot be installed.",
                cause="gar-publish does not take a package of this run from another index",
                fix=f"leave out the projects that need {name}",
                anchor="build-requirements",
            )

    return building(
        projects,
        settings,
        context,
        private_index=lambda names: in_background(lambda: no_private_index(names)),
        leaves_copies=False,
    )


def _required(name: str, files: "Sequence[Distribution]") -> set[str]:
    return {each for file in files if file.name == name for each in file.requires} - {name}


def _leave(files: "Sequence[Distribution]", outdir: Path, context: Context) -> list[str]:
    """Leave the files in a folder, and return a warning if it has others of the same packages."""
    from gar_publish.distributions.filenames import by_version
    from gar_publish.distributions.leave import leave

    try:
        outdir.parent.mkdir(parents=True, exist_ok=True)
        is_left = all(leave(file.path, outdir, context.console) for file in files)
    except OSError:
        is_left = False
    if not is_left:
        raise BadInput(
            f"The files cannot be left in {outdir}.",
            cause="the folder is a link, or belongs to another user, or the disk is full",
            fix="remove that folder, or make it writable",
            anchor="outputs",
        )
    if not files:
        return []
    context.console.info(f"The files are in {outdir}.")
    listed = {each.name: each for each in outdir.iterdir()}
    versions = [each for name in {file.name for file in files} for each in by_version(listed, name).values()]
    old = sorted({name for names in versions for name in names} - {file.filename for file in files})
    if not old:
        return []
    named = f"{', '.join(old[:_NAMED])}{f' and {len(old) - _NAMED} more' if old[_NAMED:] else ''}"
    return [f"{outdir.name} also has {named} from an earlier build. Remove what must not be published."]
