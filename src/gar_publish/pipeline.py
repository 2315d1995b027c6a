"""The flow of a publishing run, and nothing else.

What takes longest begins first, and the rest is imported meanwhile. For several builds that is uv, which installs what
they need; for one, or in the image, which has that, or where perhaps nothing is built, it is the connections.
"""

import tempfile
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gar_publish.aside import aside
from gar_publish.identity import Federation
from gar_publish.origins import refuse_plain_http
from gar_publish.settings import Settings
from gar_publish.surroundings import Surroundings

if TYPE_CHECKING:
    from gar_publish.build import Built
    from gar_publish.http import Session
    from gar_publish.projects import Project
    from gar_publish.report import Report
    from gar_publish.supply import Supply


def publish(settings: Settings, around: Surroundings) -> "Report":
    """Build, check, compare, upload and read back, side by side as far as that goes.

    This thread waits, and whatever asks a server or runs a build has a thread of its own: so a KeyboardInterrupt ends
    the run at any moment. Threads that wait for an answer then go on by themselves, until the process ends.

    Returns:
        What happened. What failed after the first byte left, or that the run was cancelled, is in it.

    Raises:
        Failure: Something was wrong before that; nothing was uploaded.
    """
    refuse_plain_http(settings.repository.upload_url, around.endpoints.emulator)
    supply: Future[Supply] = Future()
    with ExitStack() as stack:
        skips = settings.if_exists == "skip"  # whether the index has a version already is known later
        session = stack.enter_context(_connected(settings, around)) if around.container or skips else None

        def building(wanted: "Sequence[Project]") -> Iterator["Built"]:
            return stack.enter_context(_building(wanted, supply, settings, around))

        no_build = settings.dist or settings.promotion
        projects = [] if no_build else _select(settings, around)
        if not projects and not no_build:
            return _nothing_changed(settings, around)
        if len(projects) == 1:
            session = session or stack.enter_context(_connected(settings, around))
        builds = building(projects) if projects and not skips else None
        session = session or stack.enter_context(_connected(settings, around))
        from gar_publish.run import Run

        run = Run(settings, around, projects, session)
        stack.callback(run.close)
        supply.set_result(run.supply)
        if promotion := settings.promotion:
            return run.publish(lambda: run.supply.fetched(promotion, stack.enter_context(_scratch())))
        if settings.dist:
            return run.publish(run.supply.collected)
        return run.publish(lambda: run.supply.built(builds or building(run.supply.to_build())))


def _nothing_changed(settings: Settings, around: Surroundings) -> "Report":
    from gar_publish.report import Report  # most runs import it later

    around.console.info(f"Nothing has changed since {settings.changed_since}: there is nothing to publish.")
    return Report(settings.repository, (), settings.dry_run, verified=False, index_token="", token_expires_at=None)


def _connected(settings: Settings, around: Surroundings) -> "Session":
    """A session that shakes hands with Google's hosts ahead, with as many connections as will be of use at once.

    With no other hosts: a server with one thread would wait for what the first connection says, and hear no other.
    """
    from gar_publish.http import new_session

    counts: dict[str, int] = {}
    if settings.repository.resource:
        counts |= {settings.repository.index_url: 2, around.endpoints.artifact_registry: 1}
    if isinstance(settings.credential, Federation):
        counts |= {settings.credential.request_url: 1, around.endpoints.sts: 2}
    session = new_session(around.patience)
    session.connect_ahead(counts)
    return session


@contextmanager
def _building(
    projects: "Sequence[Project]", supply: "Future[Supply]", settings: Settings, around: Surroundings
) -> Iterator[Iterator["Built"]]:
    from gar_publish import build

    def private_index(names: Collection[str]) -> "Future[str | None]":
        return aside(lambda: supply.result().private_index(names))

    with (
        _scratch() as scratch,
        build.building(
            projects,
            formats=settings.formats,
            out=scratch,
            console=around.console,
            environment=around.environment,
            private_index=private_index,
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


def _select(settings: Settings, around: Surroundings) -> "list[Project]":
    """The projects in the order of building: first those whose names nobody knows, for anything may wait for them."""
    from gar_publish import plan

    selected = plan.select(
        settings.packages,
        around.workspace,
        changed_since=settings.changed_since,
        environment=around.environment,
    )
    if settings.expected_version:
        from gar_publish import distributions

        distributions.check_expected(
            ((project.label, project.version) for project in selected if project.version),
            settings.expected_version,
        )
    return sorted(selected, key=lambda project: project.name is not None)
