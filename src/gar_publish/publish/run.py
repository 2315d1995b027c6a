"""One publishing run: from packages, as they come, to a report of what became of them."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from gar_publish.auth.tokens import Token
from gar_publish.context import Context
from gar_publish.distributions import distribution
from gar_publish.distributions.distribution import Distribution
from gar_publish.errors import Failure, cancelled, internal_error
from gar_publish.projects.find import Project
from gar_publish.publish.delivery import Delivery
from gar_publish.publish.destination import Target
from gar_publish.publish.evidence import Gathering
from gar_publish.publish.sources import Supplied, Supply
from gar_publish.report.report import Report
from gar_publish.settings.settings import Settings
from gar_publish.threads import result
from gar_publish.transport.session import Session

if TYPE_CHECKING:
    from gar_publish.registry.outcomes import AttachedEvidence

_UPLOADS_AT_ONCE = 8


def readers(settings: Settings) -> int:
    """How many requests that read are made at once: more where perhaps nothing is built, and all wait for them."""
    return (settings.jobs or _UPLOADS_AT_ONCE) * (4 if settings.if_exists == "skip" else 2)


class Run:
    """One run.

    Args:
        settings: What was asked.
        context: Where it happens.
        projects: What is to be built; nothing where files are given or fetched.
        session: What requests are made with.

    Attributes:
        supply: What it publishes.
    """

    def __init__(self, settings: Settings, context: Context, projects: Sequence[Project], session: Session) -> None:
        self._settings = settings
        self._context = context
        self._projects = projects
        self._senders = ThreadPoolExecutor(max_workers=settings.jobs or _UPLOADS_AT_ONCE)
        self._readers = ThreadPoolExecutor(max_workers=readers(settings))
        self._target = Target(settings, context, projects, session, self._readers)
        self._gathering = Gathering(settings, context, self._readers)
        self._evidence: list[AttachedEvidence] = []
        names = [project.name for project in projects if project.name]
        self._delivery = Delivery(
            self._target,
            self._senders,
            self._readers,
            if_exists=settings.if_exists,
            dry_run=settings.dry_run,
            verify=settings.verify,
            coming=names,
            unnamed=len(projects) - len(names),
        )
        self.supply = Supply(
            settings, context, projects, target=self._target, delivery=self._delivery, readers=self._readers
        )

    def close(self) -> None:
        """Begin nothing any more."""
        self._senders.shutdown(wait=False, cancel_futures=True)
        self._readers.shutdown(wait=False, cancel_futures=True)

    def publish(self, provide: Callable[[], Iterable[Supplied]]) -> Report:
        """Publish packages as they come.

        Args:
            provide: Begins to provide them: `built`, `collected` or `fetched` of `supply`.

        Returns:
            What happened. What failed after the first byte left, or that the run was cancelled, is in it.

        Raises:
            Failure: Something was wrong before that; nothing was uploaded.
        """
        token: Token | None = None
        try:
            stopped = self._deliver(provide)
            stopped = stopped or self._gather()
            if not stopped and not self._delivery.failed:
                token, stopped = self._line_token()
            self._context.settled()
        except KeyboardInterrupt:
            stopped = cancelled()
        return self._report(token, stopped)

    def _deliver(self, provide: Callable[[], Iterable[Supplied]]) -> Failure | None:
        """Publish; once a byte has left, what stops that is told together with what has landed."""
        try:
            self._provide(provide())
            self._delivery.finish()
        except Exception as error:
            if not self._delivery.has_sent:
                raise
            return _told(error)
        return None

    def _provide(self, packages: Iterable[Supplied]) -> None:
        """Hand over what is to be published, as it is built; with an expected version, when all of it is there."""
        if self._settings.expected_version:
            packages = list(packages)
            found = [(each.filename, each.version) for files, _ in packages for each in files]
            distribution.check_expected(found, self._settings.expected_version)
        for files, unnamed in packages:
            for each in files:
                for warning in distribution.warnings(each):
                    self._context.console.warning(warning)
                self._gathering.add(each)
            self._delivery.add(files, unnamed=unnamed)

    def _gather(self) -> Failure | None:
        """Attach the evidence of what has landed; whatever goes wrong, that stays published."""
        settings = self._settings
        if self._delivery.given_up or not (settings.sbom or settings.provenance):
            return None
        wanted = {"uploaded", "identical", *(["would upload"] if settings.dry_run else [])}
        landed = [
            each.distribution
            for each in self._delivery.end()
            if isinstance(each.distribution, Distribution) and not each.failure
            # What was left as it is counts where it is the same file.
            if each.status in wanted or (each.status == "skipped" and each.sha256 == each.distribution.sha256)
        ]
        attaches = landed and not settings.dry_run
        try:
            self._evidence = self._gathering.finish(landed, self._target.attaching() if attaches else None)
        except Exception as error:  # noqa: BLE001 - see above
            return _told(error)
        return None

    def _line_token(self) -> tuple[Token | None, Failure | None]:
        try:
            return result(self._readers.submit(self._target.access.install_token)), None
        except Exception as error:  # noqa: BLE001 - what was published is published
            return None, _told(error)

    def _report(self, token: Token | None, stopped: Failure | None) -> Report:
        settings = self._settings
        place = {project.name: number for number, project in enumerate(self._projects)}
        files = sorted(
            (*self.supply.held, *self._delivery.end()), key=lambda each: place.get(each.distribution.name, len(place))
        )
        read_back = settings.verify and not settings.dry_run and not self._delivery.failed and not stopped
        return Report(
            repository=settings.repository,
            files=tuple(files),
            dry_run=settings.dry_run,
            verified=read_back and all(each.status != "skipped" for each in files),
            index_token=token.value if token else "",
            token_expires_at=token.expires_at if token else None,
            stopped=stopped,
            not_built=tuple(self.supply.not_built),
            promoted_from=str(settings.promotion.source) if settings.promotion else "",
            evidence=tuple(self._evidence),
        )


def _told(error: Exception) -> Failure:
    return error if isinstance(error, Failure) else internal_error(error)
