"""One publishing run, from projects or files to a report."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from gar_publish import distributions, filenames, order, prebuilt
from gar_publish.access import Access, open_access, read_as
from gar_publish.artifact_registry import RepositoryApi, once_known
from gar_publish.aside import aside, result
from gar_publish.credentials import Token
from gar_publish.delivery import Delivery
from gar_publish.distributions import Distribution
from gar_publish.errors import BuildFailure, Failure, cancelled, mistake_of_ours
from gar_publish.evidence import Attach, AttachedEvidence, Gathering
from gar_publish.google_api import GoogleApi
from gar_publish.http import new_session, refuse_plain_http
from gar_publish.identity import Federation, KeyPassword, member
from gar_publish.index import Index, IndexFile
from gar_publish.login import Login, url_with_login
from gar_publish.projects import Project, requirements, same_name
from gar_publish.report import HeldFile, NotBuilt, PublishedFile, Report
from gar_publish.repository import Repository
from gar_publish.settings import Settings
from gar_publish.surroundings import Surroundings
from gar_publish.upload import Uploader, twine_repository

if TYPE_CHECKING:
    from twine.repository import Repository as TwineRepository

    from gar_publish.build import Built
    from gar_publish.pins import Promotion

_UPLOADS_AT_ONCE = 8

Answer = TypeVar("Answer")
Package = tuple[list[Distribution], bool]
"""All files of one name, and whether nobody knew that name before."""


class Run:
    """One run, which is also the registry that its delivery knows (`gar_publish.delivery.Registry`)."""

    def __init__(self, settings: Settings, around: Surroundings, projects: Sequence[Project]) -> None:
        refuse_plain_http(settings.repository.upload_url, around.endpoints.emulator)
        self._settings = settings
        self._around = around
        self._projects = projects
        at_once = settings.jobs or _UPLOADS_AT_ONCE
        self._senders = ThreadPoolExecutor(max_workers=at_once)
        self._readers = ThreadPoolExecutor(max_workers=2 * at_once)
        self._session = new_session(around.patience)
        self._is_new = False
        self._connect_ahead()
        self._access = self._readers.submit(self._open_access)
        self._twine = self._readers.submit(self._check_repository)
        self._names = {project.name: project for project in projects if project.name}
        self._listed = {name: self._readers.submit(self._look_up, name) for name in self._names}
        self._needed_for_builds = _needed_for_builds(projects)
        self._held: list[PublishedFile] = []
        self._not_built: list[NotBuilt] = []
        self._gathering = Gathering(settings, around, self._readers)
        self._evidence: list[AttachedEvidence] = []
        self._delivery = Delivery(
            self,
            self._senders,
            self._readers,
            if_exists=settings.if_exists,
            dry_run=settings.dry_run,
            verify=settings.verify,
            coming=self._names,
            unnamed=len(projects) - len(self._names),
        )

    def close(self) -> None:
        """Begin nothing any more."""
        self._senders.shutdown(wait=False, cancel_futures=True)
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._session.close()

    def _connect_ahead(self) -> None:
        """Shake hands with Google's hosts while projects build and modules are imported.

        With no others: a server with one thread would wait for what the first connection says, and hear no other.
        """
        settings, endpoints = self._settings, self._around.endpoints
        counts: dict[str, int] = {}
        if settings.repository.resource:
            counts |= {settings.repository.index_url: 2, endpoints.artifact_registry: 1}
        if isinstance(settings.credential, Federation):
            counts |= {settings.credential.request_url: 1, endpoints.sts: 2}
        self._session.connect_ahead(counts)

    def publish(self, provide: Callable[[], Iterable[Package]]) -> Report:
        """Publish packages as they come.

        Args:
            provide: Begins to provide them: `built`, `collected`, or `packages` of what was fetched.

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
            self._around.settled()
        except KeyboardInterrupt:
            stopped = cancelled()
        return self._report(token, stopped)

    def _deliver(self, provide: Callable[[], Iterable[Package]]) -> Failure | None:
        """Publish; once a byte has left, what stops that is told together with what has landed."""
        try:
            self._provide(provide())
            self._delivery.finish()
        except Exception as error:
            if not self._delivery.has_sent:
                raise
            return _told(error)
        return None

    def _gather(self) -> Failure | None:
        """Attach the evidence of what has landed; whatever goes wrong, that stays published."""
        if self._delivery.given_up:
            return None
        wanted = {"uploaded", "identical", *(["would upload"] if self._settings.dry_run else [])}
        landed = [
            each.distribution
            for each in self._delivery.end()
            if each.status in wanted and not each.failure and isinstance(each.distribution, Distribution)
        ]
        try:
            self._evidence = self._gathering.finish(landed, self._attaching() if landed else None)
        except Exception as error:  # noqa: BLE001 - see above
            return _told(error)
        return None

    def _attaching(self) -> Attach | None:
        settings, around = self._settings, self._around
        if settings.dry_run or not (settings.sbom or settings.provenance):
            return None
        from gar_publish.attachments import AttachmentApi  # an option

        who = member(settings.credential, around.environment)
        api = AttachmentApi(settings.repository, endpoints=around.endpoints, api=self._google_api(), member=who)
        return partial(api.attach, verify=settings.verify)

    def _line_token(self) -> tuple[Token | None, Failure | None]:
        try:
            return result(self._readers.submit(self.access.line_token)), None
        except Exception as error:  # noqa: BLE001 - what was published is published
            return None, _told(error)

    def _report(self, token: Token | None, stopped: Failure | None) -> Report:
        settings = self._settings
        place = {project.name: number for number, project in enumerate(self._projects)}
        files = sorted(
            (*self._held, *self._delivery.end()), key=lambda each: place.get(each.distribution.name, len(place))
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
            not_built=tuple(self._not_built),
            promoted_from=str(settings.promotion.source) if settings.promotion else "",
            evidence=tuple(self._evidence),
        )

    @property
    def access(self) -> Access:
        return self._access.result()

    def files(self, name: str) -> Mapping[str, IndexFile]:
        """What the index lists for a project, as soon as it is known that uploads can work."""
        self._twine.result()
        listed = None if self._is_new else self._listed.get(name)  # it was asked for before there was a repository
        return listed.result() if listed else self._once_known(lambda: self.access.files(name))

    def index(self) -> Index:
        return self.access.index

    def upload(self, distribution: Distribution) -> PublishedFile:
        """Send a file; who reads is settled by now."""
        uploader = Uploader(
            self._twine.result(),
            session=self._session,
            source=self.access.source,
            index=self.access.index,
            if_exists=self._settings.if_exists,
            patience=self._around.patience,
            console=self._around.console,
        )
        return self._once_known(lambda: uploader.upload(distribution))

    def _once_known(self, call: Callable[[], Answer]) -> Answer:
        return once_known(call, self._around.patience, self._around.console.info) if self._is_new else call()

    def _look_up(self, name: str) -> Mapping[str, IndexFile]:
        return self.access.files(name)

    def _open_access(self) -> Access:
        settings = self._settings
        access = open_access(
            settings.repository, settings.credential, settings.index_token, self._around, self._session
        )
        self._readers.submit(access.get_ready)
        access.source.token()
        return access

    def _google_api(self) -> GoogleApi:
        around = self._around
        return GoogleApi(
            session=self._session, source=self.access.source, patience=around.patience, on_wait=around.console.info
        )

    def _check_repository(self) -> "TwineRepository":
        """See to it that uploads can work, and have all that they need."""
        settings = self._settings
        self._access.result()
        if settings.repository.resource and len(self._projects) > 1:
            uploads = min(len(self._projects), settings.jobs or _UPLOADS_AT_ONCE)
            self._session.connect_ahead({settings.repository.upload_url: uploads})
        twine = aside(lambda: twine_repository(settings.repository.upload_url))  # imports it
        # The REST API takes tokens alone, and its host may be out of reach where a key is the password.
        if settings.repository.resource and not isinstance(settings.credential, KeyPassword):
            repository = self._api(settings.repository)
            self._is_new = repository.check(create=settings.create_repository, dry_run=settings.dry_run)
        return twine.result()

    def _api(self, repository: Repository) -> RepositoryApi:
        around = self._around
        return RepositoryApi(
            repository,
            endpoints=around.endpoints,
            api=self._google_api(),
            member=member(self._settings.credential, around.environment),
            say=around.console.info,
        )

    def _provide(self, packages: Iterable[Package]) -> None:
        """Hand over what is to be published, as it is built; with an expected version, when all of it is there."""
        if self._settings.expected_version:
            packages = list(packages)
            found = [(each.filename, each.version) for files, _ in packages for each in files]
            distributions.check_expected(found, self._settings.expected_version)
        for files, unnamed in packages:
            for each in files:
                for warning in distributions.warnings(each):
                    self._around.console.warning(warning)
                self._gathering.add(each)
            self._delivery.add(files, unnamed=unnamed)

    def fetch(self, promotion: "Promotion", folder: Path) -> list[Distribution]:
        """What is promoted, from the repository that has it.

        Raises:
            Failure: It is not there, or cannot be read, or must not be published; nothing was uploaded.
        """
        from gar_publish.promotion import Source  # other runs do without

        around, source = self._around, result(self._access).source
        reader = read_as(source, promotion.source, self._settings.index_token, around, self._session)
        result(self._readers.submit(self._api(promotion.source).check_source))
        result(self._twine)
        return Source(promotion.source, reader, self._readers, folder, around.console.info).fetch(
            promotion.pins, with_dependencies=promotion.with_dependencies
        )

    def collected(self) -> list[Package]:
        """What `dist` names."""
        paths = prebuilt.collect(self._settings.dist, self._around.workspace)
        return self.packages(map(distributions.read, paths))

    def packages(self, found: Iterable[Distribution]) -> list[Package]:
        """Files by package.

        Raises:
            BadInput: There is no order to publish them in.
        """
        found = sorted(found, key=attrgetter("name"))
        packages = [list(files) for _, files in groupby(found, key=attrgetter("name"))]
        required = {files[0].name: {name for each in files for name in each.requires} for files in packages}
        order.refuse_circles(required)
        self._delivery.expect(required)
        return [(files, False) for files in packages]

    def built(self, builds: Iterable["Built"]) -> Iterator[Package]:
        """What builds bring, as they end; where one of several fails, the others go on."""
        for built in builds:
            project = built.project
            try:
                if built.failure:
                    raise built.failure
                found = [distributions.read(path) for path in built.files]
                for each in found:
                    distributions.check_name(each, project)
                self._refuse_second(found[0].name, project)
            except Failure as failure:
                if len(self._projects) == 1:
                    raise
                self._not_built.append(NotBuilt(project.label, failure))
                self._delivery.leave_out(project.name)
            else:
                yield found, project.name is None

    def _refuse_second(self, name: str, project: Project) -> None:
        other = self._names.setdefault(name, project)
        if other is not project:
            self._delivery.leave_out(name)  # neither goes: nobody knows which one is meant
            raise same_name(name, other, project)

    def to_build(self) -> Sequence[Project]:
        """All projects but those whose versions the index has, if `if-exists: skip` leaves them alone.

        Raises:
            Failure: The registry does not let this run in, or does not answer.
        """
        if self._settings.if_exists != "skip":
            return self._projects
        known = [(project, self._readers.submit(self._holds, project)) for project in self._projects]
        to_build = []
        for project, holding in known:
            if held := result(holding):
                self._held += held
                self._delivery.leave_out(project.name, landed=True)
            else:
                to_build.append(project)
        return to_build

    def _holds(self, project: Project) -> list[PublishedFile]:
        """The files of a project's version in the index, if they are all that a build could bring."""
        if not project.name or not project.version:
            return []
        held = filenames.universal(self.files(project.name), project.name, project.version)
        if not self._settings.formats <= held.keys():
            return []
        return [
            PublishedFile(
                HeldFile(listed.filename, project.name, project.version),
                "skipped",
                listed.sha256 or self.index().read_sha256(listed),
                listed.url,
            )
            for kind, listed in held.items()
            if kind in self._settings.formats
        ]

    def private_index(self, names: Collection[str]) -> "Future[str | None]":
        """The repository's index with a reading token, if it holds any of these build requirements.

        Those that this run publishes itself are waited for: as long as they are not there, anybody may have put another
        package of their name elsewhere.
        """
        return aside(lambda: self._private_index(names))

    def _private_index(self, names: Collection[str]) -> str | None:
        for name in self._needed_for_builds.intersection(names):
            if not self._delivery.has_landed(name) or self._settings.dry_run:
                raise _not_there(name)
        if not any(name in self._needed_for_builds or self.access.files(name) for name in names):
            return None
        token = self.access.reading_token()
        return url_with_login(self._settings.repository.index_url, Login(token.user, token.value))


def _told(error: Exception) -> Failure:
    return error if isinstance(error, Failure) else mistake_of_ours(error)


def _needed_for_builds(projects: Sequence[Project]) -> set[str]:
    """The names that builds of this run require of it, but those that cannot come first."""
    graph = requirements(projects)
    pairs = {(project.key, name) for project in projects for name in project.build_requires & graph.keys()}
    return {name for _, name in pairs} - {name for key, name in pairs if name not in graph[key]}


def _not_there(name: str) -> BuildFailure:
    return BuildFailure(
        f"A build needs {name}, which this run was to publish before, and did not.",
        cause=f"{name} failed, or this is a dry run. In other indexes anybody may put one of its name.",
        fix=f"publish {name} first, in a run of its own",
        anchor="build-requirements",
    )
