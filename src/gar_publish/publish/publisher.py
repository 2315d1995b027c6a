"""Publishes the packages of one run, and reports the outcome."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.version import Version

from gar_publish.auth.tokens import Token, expiry_warning
from gar_publish.context import Context
from gar_publish.distributions import distribution
from gar_publish.distributions.distribution import Distribution
from gar_publish.distributions.leave import leave
from gar_publish.errors import Failure, RegistryRefused, as_failure
from gar_publish.projects.find import Project
from gar_publish.publish.delivery import Delivery
from gar_publish.publish.destination import Destination
from gar_publish.publish.evidence import EvidenceMaker
from gar_publish.publish.name_guard import Guard
from gar_publish.publish.schedule import Package
from gar_publish.publish.sources import Sources
from gar_publish.report.report import Report
from gar_publish.settings.settings import Settings
from gar_publish.threads import result
from gar_publish.transport.session import Session

if TYPE_CHECKING:
    from gar_publish.registry.outcomes import AttachedEvidence
    from gar_publish.rehearsal.outcome import Rehearsal

_UPLOADS_AT_ONCE = 8


def readers(settings: Settings) -> int:
    """Return the number of threads that read. With `if-exists: skip`, builds wait for them, so there are more."""
    return (settings.jobs or _UPLOADS_AT_ONCE) * (4 if settings.if_exists == "skip" else 2)


class Publisher:
    """Publishes the packages of one run.

    Args:
        settings: The inputs.
        context: Where the run happens.
        projects: The projects to build; none if files are given or fetched.
        session: Makes the requests.
        preview: Whose preview this is, such as `pr42`; empty for releases.

    Attributes:
        sources: The packages of the run.
    """

    def __init__(
        self,
        settings: Settings,
        context: Context,
        projects: Sequence[Project],
        session: Session,
        *,
        preview: str = "",
    ) -> None:
        self._preview = preview
        self._settings = settings
        self._context = context
        self._projects = projects
        self._senders = ThreadPoolExecutor(max_workers=settings.jobs or _UPLOADS_AT_ONCE)
        self._readers = ThreadPoolExecutor(max_workers=readers(settings))
        # On Windows, a file that a thread reads cannot be removed.
        self._scratch = tempfile.TemporaryDirectory(prefix="gar-publish-", ignore_cleanup_errors=True)
        self._destination = Destination(
            settings, context, projects, session, self._readers, scratch=Path(self._scratch.name)
        )
        self._evidence_maker = EvidenceMaker(settings, context, self._readers)
        self._guard = Guard(settings.name_guard, context.environment, self._readers)
        self._evidence: list[AttachedEvidence] = []
        self._rehearsals: list[Rehearsal] = []
        names = [project.name for project in projects if project.name]
        self._delivery = Delivery(
            self._destination,
            settings,
            self._senders,
            self._readers,
            expected=names,
            unnamed=len(projects) - len(names),
        )
        self.sources = Sources(
            settings,
            context,
            projects,
            destination=self._destination,
            delivery=self._delivery,
            readers=self._readers,
        )

    def close(self) -> None:
        """Begin nothing more."""
        self._senders.shutdown(wait=False, cancel_futures=True)
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._scratch.cleanup()

    def publish(self, packages: Iterable[Package]) -> Report:
        """Publish packages as they come.

        Returns:
            The report. It has every failure after the first upload began, and an interruption at any time.

        Raises:
            Failure: The run failed before; nothing was uploaded.
        """
        token: Token | None = None
        lock = ""
        try:
            stopped = self._deliver(packages) or self._make_evidence() or self._install_published()
            if not stopped and not self._delivery.failed:
                token, stopped = self._install_token()
                lock = self._make_lock()
            self._context.settled()
        except KeyboardInterrupt as error:
            stopped = as_failure(error)
        return replace(self._report(token, stopped), lock=lock)

    def _deliver(self, packages: Iterable[Package]) -> Failure | None:
        try:
            if self._settings.expected_version:
                packages = self._expected(packages, self._settings.expected_version)
            if self._settings.rehearse:
                packages = self._rehearsed(list(packages))
            files: list[Distribution] = []
            self._guard.ask(project.name for project in self._projects if project.name)
            for package in packages:
                files += package.files
                for warning in self._guard.warnings(package.name):
                    self.sources.built.warn(warning)
                for file in package.files:
                    self._evidence_maker.begin(file)
                self._delivery.add(package)
            warnings = self._readers.submit(distribution.warnings, files)  # takes long: it renders readmes
            self._delivery.finish()
            self._leave_copies()
            self.sources.built.warn(*result(warnings))
        except Exception as error:
            if not self._delivery.has_sent:
                raise
            return as_failure(error)
        return None

    def _expected(self, packages: Iterable[Package], version: Version) -> Iterator[Package]:
        """Yield packages of the expected version. All are checked before the first goes, unless builds wait for one."""
        groups = ([each] for each in packages) if self.sources.needed_for_builds else iter([list(packages)])
        for group in groups:
            found = [(file.filename, file.version) for package in group for file in package.files]
            distribution.check_expected(found, version)
            yield from group

    def _rehearsed(self, packages: Sequence[Package]) -> list[Package]:
        """Rehearse all packages, and return those that may be published."""
        from gar_publish.publish.rehearse import rehearse  # few runs need it
        from gar_publish.rehearsal.rehearse import failure_of

        folders = {project.name: project.folder for project in self._projects if project.name}
        outcomes = rehearse(
            packages,
            folders,
            self._settings,
            self._context,
            destination=self._destination,
            readers=self._readers,
        )
        passed = []
        for package in packages:
            own = outcomes[package.name]
            self._rehearsals += own
            for warning in dict.fromkeys(text for each in own for text in _doubts(each)):
                self._context.console.warning(warning)
            if failure := failure_of(own, package.files[0].filename):
                self._delivery.refuse(package, failure)
            else:
                passed.append(package)
        return passed

    def _leave_copies(self) -> None:
        """Leave the registry's files in place of others with identical contents: they are what will be installed."""
        folders = {} if self._preview else {project.name: project.folder for project in self._projects}
        for each in self._delivery.end():
            found = each.distribution
            if (
                isinstance(found, Distribution)
                and found.path.is_relative_to(self._scratch.name)
                and found.name in folders
            ):
                leave(found.path, folders[found.name] / "dist", self._context.console)

    def _make_evidence(self) -> Failure | None:
        """Make and attach the evidence of the published files. They stay published if that fails."""
        settings = self._settings
        if self._delivery.stopped or not (settings.sbom or settings.provenance):
            return None
        statuses = {"uploaded", "identical", *(["would upload"] if settings.dry_run else [])}
        published = [
            each.distribution
            for each in self._delivery.end()
            if isinstance(each.distribution, Distribution) and not each.failure
            # A skipped file counts if it is identical.
            if each.status in statuses or (each.status == "skipped" and each.sha256 == each.distribution.sha256)
        ]
        try:
            attachments = self._destination.attachments() if published and not settings.dry_run else None
            self._evidence = self._evidence_maker.finish(published, attachments)
        except Exception as error:  # noqa: BLE001 - the files are published all the same
            return as_failure(error)
        return None

    def _install_published(self) -> Failure | None:
        """Install what was published from the repository alone. It stays published if that fails."""
        settings = self._settings
        if self._delivery.stopped or settings.dry_run or not (settings.rehearse and settings.verify):
            return None
        from gar_publish.publish.rehearse import install_published  # few runs need it

        try:
            pins = self._report(None, None).pins
            outcomes = install_published(self._rehearsals, pins, self._context, self._destination)
        except Exception as error:  # noqa: BLE001 - the files are published all the same
            return as_failure(error)
        self._rehearsals += outcomes
        failed = [each for each in outcomes if each.state == "failed"]
        return _not_installable(failed) if failed else None

    def _install_token(self) -> tuple[Token | None, Failure | None]:
        try:
            return result(self._readers.submit(self._destination.access.install_token)), None
        except Exception as error:  # noqa: BLE001 - the files are published all the same
            return None, as_failure(error)

    def _make_lock(self) -> str:
        """Make the lock, and return its path. A failure is a warning, since the packages are published."""
        settings = self._settings
        pins = self._report(None, None).pins
        if not settings.lock or settings.dry_run or not pins:
            return ""
        from gar_publish.publish import lock  # few runs need it

        distributions = [each.distribution for each in self._delivery.end()]
        requires_python = {
            each.requires_python for each in distributions if isinstance(each, Distribution) and each.requires_python
        }

        def make() -> str:
            token = self._destination.access.build_token()
            environment = self._context.environment
            text = lock.compile_lock(pins, requires_python, settings.repository, token, environment)
            return lock.leave_lock(text, Path(self._scratch.name), self._context)

        try:
            return result(self._readers.submit(make))
        except Exception as error:  # noqa: BLE001 - the packages are published all the same
            failure = as_failure(error)
            self._context.console.info(failure.explanation)
            self._context.console.warning(failure.brief)
            return ""

    def _report(self, token: Token | None, stopped: Failure | None) -> Report:
        settings = self._settings
        order = {project.name: number for number, project in enumerate(self._projects)}
        files = (*self.sources.skipped, *self._delivery.end())
        read_back = settings.verify and not settings.dry_run and not self._delivery.failed and not stopped
        return Report(
            repository=settings.repository,
            files=tuple(sorted(files, key=lambda each: order.get(each.distribution.name, len(order)))),
            dry_run=settings.dry_run,
            verified=read_back and all(each.status != "skipped" for each in files),
            index_token=token.value if token else "",
            token_expires_at=token.expires_at if token else None,
            token_warning=expiry_warning(token) if token else "",
            stopped=stopped,
            not_built=tuple(self.sources.built.not_built),
            promoted_from=str(settings.promotion.source) if settings.promotion else "",
            evidence=tuple(self._evidence),
            warnings=tuple(self.sources.built.warnings),
            rehearsals=tuple(self._rehearsals),
            preview=self._preview,
        )


def _doubts(rehearsal: "Rehearsal") -> list[str]:
    """Return what a rehearsal warns about."""
    untried = rehearsal.state == "not tried" and not rehearsal.beside
    why = [f"not rehearsed, {each}" for each in rehearsal.problems if untried]
    return [f"{rehearsal.name} {rehearsal.version}: {each}" for each in (*why, *rehearsal.warnings)]


def _not_installable(failed: Sequence["Rehearsal"]) -> Failure:
    return RegistryRefused(
        f"{', '.join(f'{each.name} {each.version}' for each in failed)}: published, but cannot be installed.",
        cause="the registry lists or serves other contents than it took",
        fix="run again; if this does not help, look at the version in the registry",
        anchor="rehearsal-published",
        detail="\n".join(problem for each in failed for problem in each.problems),
    )
