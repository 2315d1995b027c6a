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
from gar_publish.supply import Supply
from gar_publish.surroundings import Surroundings

if TYPE_CHECKING:
    from gar_publish.build import Built


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
            return run.publish(lambda: run.supply.fetched(promotion, stack.enter_context(_scratch())))
        if settings.dist:
            return run.publish(run.supply.collected)
        return run.publish(lambda: run.supply.built(stack.enter_context(_building(run.supply, settings, around))))


@contextmanager
def _building(supply: Supply, settings: Settings, around: Surroundings) -> Iterator[Iterator["Built"]]:
    from gar_publish import build  # takes long to import: servers answer meanwhile

    with (
        _scratch() as scratch,
        build.building(
            supply.to_build(),
            formats=settings.formats,
            out=scratch,
            console=around.console,
            environment=around.environment,
            private_index=supply.private_index,
            insist=around.container,
            jobs=settings.jobs,
        ) as builds,
    ):
        yield builds


@contextmanager
def _scratch() -> Iterator[Path]:
    # On Windows, a file that a thread is still sending cannot be removed.
    with tempfile.TemporaryDirectory(prefix="gar-publish-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


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
