"""Starts the steps of a publishing run, the slowest first: connections, then builds.

Modules that only talk to servers are imported meanwhile.
"""

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, closing
from typing import TYPE_CHECKING

from gar_publish.context import Context
from gar_publish.publish.build import building, scratch, select
from gar_publish.settings.credential import Federation
from gar_publish.settings.settings import Settings
from gar_publish.threads import in_background
from gar_publish.transport.preconnect import Preconnector
from gar_publish.urls import refuse_plain_http

if TYPE_CHECKING:
    from gar_publish.builder.builds import Built
    from gar_publish.previews.origin import Preview
    from gar_publish.projects.find import Project
    from gar_publish.publish.schedule import Package
    from gar_publish.publish.sources import Sources
    from gar_publish.report.report import Report


def publish(settings: Settings, context: Context) -> "Report":
    """Build, check, compare, upload and read back, in parallel where possible.

    This thread only waits, and other threads ask servers and run builds: so a KeyboardInterrupt ends the run at any
    moment. A thread that waits for an answer then goes on until the process ends.

    Returns:
        The report. It has every failure after the first upload began, and an interruption at any time after the start.

    Raises:
        Failure: The run failed before; nothing was uploaded.
    """
    refuse_plain_http(settings.repository.upload_url, context.endpoints.emulator)
    opened: Future[Sources] = Future()
    with ExitStack() as stack:
        preconnector = stack.enter_context(_connecting(settings, context))
        preview = _preview(settings, context)
        no_build = settings.dist or settings.promotion
        projects = [] if no_build else select(settings, context, preview)
        if not projects and not no_build:
            return _nothing_changed(settings, context)

        def build(projects: "Sequence[Project]") -> Iterator["Built"]:
            return stack.enter_context(_building(projects, opened, settings, context))

        # The image needs no environments, so its builds can wait. With `skip`, the index decides what is built.
        at_once = projects and not context.container and settings.if_exists != "skip"
        builds = build(projects) if at_once else None

        from gar_publish.publish.publisher import Publisher, readers
        from gar_publish.transport.session import new_session

        session = stack.enter_context(new_session(context.retry_policy, take=preconnector.take))
        if settings.repository.resource and len(projects) > 1:
            preconnector.connect({settings.repository.upload_url: min(len(projects), readers(settings))})
        publisher = Publisher(settings, context, projects, session, preview=preview.label if preview else "")
        stack.callback(publisher.close)
        sources = publisher.sources
        opened.set_result(sources)

        def packages() -> "Iterator[Package]":
            if settings.promotion:
                yield from sources.promoted(settings.promotion, stack.enter_context(scratch()))
            elif settings.dist and preview:
                yield from sources.prebuilt_preview(preview, stack.enter_context(scratch()))
            elif settings.dist:
                yield from sources.prebuilt()
            elif preview:
                yield from sources.preview(builds or build(projects), preview, stack.enter_context(scratch()))
            elif to_build := sources.to_build():
                yield from sources.built.read(builds or build(to_build))

        return publisher.publish(packages())


def _preview(settings: Settings, context: Context) -> "Preview | None":
    if not settings.preview:
        return None
    from gar_publish.previews import forks, origin  # most runs make none

    if context.environment.get("GITHUB_EVENT_NAME") == forks.EVENT:
        return forks.open_preview(settings, context)
    return origin.find(context.workspace, context.environment)


def _nothing_changed(settings: Settings, context: Context) -> "Report":
    from gar_publish.report.report import Report  # most runs import it later

    context.settled()
    return Report(settings.repository, (), settings.dry_run, verified=False, index_token="", token_expires_at=None)


def _connecting(settings: Settings, context: Context) -> "closing[Preconnector]":
    """Connect to Google's hosts, as often as requests will be made at once.

    Other hosts are left out: a server with one thread would wait for a request on the first connection.
    """
    counts: dict[str, int] = {}
    if settings.repository.resource:
        counts |= {settings.repository.index_url: 2, context.endpoints.artifact_registry: 1}
    if isinstance(settings.credential, Federation):
        exchanges = 2 if settings.index_token in {"auto", "read-only"} else 1
        counts |= {settings.credential.request_url: 1, context.endpoints.sts: exchanges}
    preconnector = Preconnector(context.environment, context.retry_policy.timeouts[0])
    preconnector.connect(counts)
    return closing(preconnector)


def _building(
    projects: "Sequence[Project]", sources: "Future[Sources]", settings: Settings, context: Context
) -> "AbstractContextManager[Iterator[Built]]":
    def private_index(names: Collection[str]) -> "Future[str | None]":
        return in_background(lambda: sources.result().private_index(names))

    return building(
        projects,
        settings,
        context,
        private_index=private_index,
        check=lambda: sources.result().check() if sources.done() else None,
        leaves_copies=not settings.preview,
        pins=lambda names: sources.result().pins(names),
    )
