"""The flow of a publishing run, and nothing else.

What takes longest begins first: connections, then builds. What asks servers is imported meanwhile.
"""

import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gar_publish.context import Context
from gar_publish.settings.credential import Federation
from gar_publish.settings.settings import Settings
from gar_publish.threads import in_background
from gar_publish.transport.preconnect import Preconnector
from gar_publish.urls import refuse_plain_http

if TYPE_CHECKING:
    from gar_publish.builder.builds import Built
    from gar_publish.projects.find import Project
    from gar_publish.publish.sources import Supplied, Supply
    from gar_publish.report.report import Report


def publish(settings: Settings, context: Context) -> "Report":
    """Build, check, compare, upload and read back, side by side as far as that goes.

    This thread waits, and whatever asks a server or runs a build has a thread of its own: so a KeyboardInterrupt ends
    the run at any moment. Threads that wait for an answer then go on by themselves, until the process ends.

    Returns:
        What happened. What failed after the first byte left, or that the run was cancelled, is in it.

    Raises:
        Failure: Something was wrong before that; nothing was uploaded.
    """
    refuse_plain_http(settings.repository.upload_url, context.endpoints.emulator)
    supply: Future[Supply] = Future()
    with ExitStack() as stack:
        preconnector = stack.enter_context(_connecting(settings, context))

        def building(wanted: "Sequence[Project]") -> Iterator["Built"]:
            return stack.enter_context(_building(wanted, supply, settings, context))

        no_build = settings.dist or settings.promotion
        projects = [] if no_build else _select(settings, context)
        if not projects and not no_build:
            return _nothing_changed(settings, context)
        # What the image builds with need not be installed, and with `skip` the index tells what is to be built.
        begins = projects and not context.container and settings.if_exists != "skip"
        builds = building(projects) if begins else None

        from gar_publish.transport.session import new_session

        session = stack.enter_context(new_session(context.retry_policy, take=preconnector.take))

        from gar_publish.publish.run import Run, readers

        if settings.repository.resource and len(projects) > 1:
            preconnector.connect({settings.repository.upload_url: min(len(projects), readers(settings))})
        run = Run(settings, context, projects, session)
        stack.callback(run.close)
        supply.set_result(run.supply)
        if promotion := settings.promotion:
            return run.publish(lambda: run.supply.fetched(promotion, stack.enter_context(_scratch())))
        if settings.dist:
            return run.publish(run.supply.collected)

        def built() -> Iterable["Supplied"]:
            wanted = run.supply.to_build()
            return run.supply.built(builds or building(wanted)) if wanted else ()

        return run.publish(built)


def _nothing_changed(settings: Settings, context: Context) -> "Report":
    from gar_publish.report.report import Report  # most runs import it later

    context.console.info(f"Nothing has changed since {settings.changed_since}: there is nothing to publish.")
    return Report(settings.repository, (), settings.dry_run, verified=False, index_token="", token_expires_at=None)


def _connecting(settings: Settings, context: Context) -> "closing[Preconnector]":
    """Shake hands with Google's hosts, with as many connections as will be of use at once.

    With no other hosts: a server with one thread would wait for what the first connection says, and hear no other.
    """
    counts: dict[str, int] = {}
    if settings.repository.resource:
        counts |= {settings.repository.index_url: 2, context.endpoints.artifact_registry: 1}
    if isinstance(settings.credential, Federation):
        counts |= {settings.credential.request_url: 1, context.endpoints.sts: 2}
    preconnector = Preconnector(context.environment, context.retry_policy.timeouts[0])
    preconnector.connect(counts)
    return closing(preconnector)


@contextmanager
def _building(
    projects: "Sequence[Project]", supply: "Future[Supply]", settings: Settings, context: Context
) -> Iterator[Iterator["Built"]]:
    from gar_publish.builder.builds import building  # a run that builds nothing does not need it

    def private_index(names: Collection[str]) -> "Future[str | None]":
        return in_background(lambda: supply.result().private_index(names))

    with (
        _scratch() as scratch,
        building(
            projects,
            formats=settings.formats,
            out=scratch,
            console=context.console,
            environment=context.environment,
            private_index=private_index,
            insist=context.container,
            jobs=settings.jobs,
        ) as builds,
    ):
        yield builds


@contextmanager
def _scratch() -> Iterator[Path]:
    # On Windows, a file that a thread is still sending cannot be removed.
    with tempfile.TemporaryDirectory(prefix="gar-publish-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _select(settings: Settings, context: Context) -> "list[Project]":
    """The projects in the order of building: first those whose names nobody knows, for anything may wait for them."""
    from gar_publish.projects import plan

    selected = plan.select(
        settings.packages,
        context.workspace,
        changed_since=settings.changed_since,
        environment=context.environment,
    )
    if settings.expected_version:
        from gar_publish.distributions import distribution

        distribution.check_expected(
            ((project.label, project.version) for project in selected if project.version),
            settings.expected_version,
        )
    return sorted(selected, key=lambda project: project.name is not None)
