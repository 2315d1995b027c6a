"""The flow of a publishing run, and nothing else."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gar_publish import distributions, plan
from gar_publish.projects import Project
from gar_publish.report import Report
from gar_publish.run import Run
from gar_publish.settings import Settings
from gar_publish.surroundings import Surroundings

if TYPE_CHECKING:
    from gar_publish.build import Built
    from gar_publish.pins import Promotion


def publish(settings: Settings, around: Surroundings) -> Report:
    """Build, check, compare, upload and read back, side by side as far as that goes.

    This thread waits, and whatever asks a server or runs a build has a thread of its own: so a KeyboardInterrupt ends
    the run at any moment. Threads that wait for an answer then go on by themselves, until the process ends.

    Returns:
        What happened. What failed after the first byte left, or that the run was cancelled, is in it.

    Raises:
        Failure: Something was wrong before that; nothing was uploaded.
    """
    no_build = settings.dist or settings.promotion
    projects = [] if no_build else _select(settings, around)
    if not projects and not no_build:
        around.console.info(f"Nothing has changed since {settings.changed_since}: there is nothing to publish.")
        return Report(settings.repository, (), settings.dry_run, verified=False, index_token="", token_expires_at=None)
    with ExitStack() as stack:
        run = Run(settings, around, projects)
        stack.callback(run.close)
        if promotion := settings.promotion:
            return run.publish(lambda: run.packages(stack.enter_context(_fetching(run, promotion))))
        if settings.dist:
            return run.publish(run.collected)
        return run.publish(lambda: run.built(stack.enter_context(_building(run, settings, around))))


@contextmanager
def _fetching(run: Run, promotion: "Promotion") -> Iterator[list[distributions.Distribution]]:
    with tempfile.TemporaryDirectory(prefix="gar-publish-", ignore_cleanup_errors=True) as scratch:
        yield run.fetch(promotion, Path(scratch))


@contextmanager
def _building(run: Run, settings: Settings, around: Surroundings) -> Iterator[Iterator["Built"]]:
    from gar_publish import build  # takes long to import: servers answer meanwhile

    # On Windows, a file that a thread is still sending cannot be removed.
    with (
        tempfile.TemporaryDirectory(prefix="gar-publish-", ignore_cleanup_errors=True) as scratch,
        build.building(
            run.to_build(),
            formats=settings.formats,
            out=Path(scratch),
            console=around.console,
            environment=around.environment,
            private_index=run.private_index,
            insist=around.container,
            jobs=settings.jobs,
        ) as builds,
    ):
        yield builds


def _select(settings: Settings, around: Surroundings) -> list[Project]:
    """The projects in the order of building: first those whose names nobody knows, for anything may wait for them."""
    selected = plan.select(
        settings.packages,
        around.workspace,
        changed_since=settings.changed_since,
        environment=around.environment,
    )
    if settings.expected_version:
        distributions.check_expected(
            ((project.label, project.version) for project in selected if project.version),
            settings.expected_version,
        )
    return sorted(selected, key=lambda project: project.name is not None)
