"""The repository that a run publishes to: whether it takes files, what it lists, sending a file, attaching to it."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import TypeVar

from gar_publish.context import Context
from gar_publish.distributions.distribution import Distribution
from gar_publish.projects.find import Project
from gar_publish.publish.evidence import Attach
from gar_publish.registry.access import Access, open_access
from gar_publish.registry.google_api import GoogleApi
from gar_publish.registry.index import Index, IndexFile
from gar_publish.registry.outcomes import PublishedFile
from gar_publish.registry.repository_api import RepositoryApi
from gar_publish.registry.upload import Uploader
from gar_publish.settings.credential import KeyPassword, member
from gar_publish.settings.repository import Repository
from gar_publish.settings.settings import Settings
from gar_publish.threads import result
from gar_publish.transport.retry import once_known
from gar_publish.transport.session import Session

Answer = TypeVar("Answer")


class Target:
    """The repository of one run, as its delivery knows it (`gar_publish.publish.delivery.Registry`).

    Tokens and what the index lists are asked for at once, in other threads; calls wait for what they need.

    Args:
        settings: What was asked.
        context: Where the run happens.
        projects: What is going to be published, as far as that is known.
        session: What requests are made with.
        readers: Where servers are asked side by side.
    """

    def __init__(
        self,
        settings: Settings,
        context: Context,
        projects: Sequence[Project],
        session: Session,
        readers: Executor,
    ) -> None:
        self._settings = settings
        self._context = context
        self._readers = readers
        self._session = session
        self._is_new = False
        self._access = readers.submit(self._open_access)
        self._checked = readers.submit(self._check_repository)
        self._listed = {each.name: readers.submit(self._look_up, each.name) for each in projects if each.name}

    @property
    def access(self) -> Access:
        return self._access.result()

    def files(self, name: str) -> Mapping[str, IndexFile]:
        """What the index lists for a project, as soon as it is known that uploads can work."""
        self._checked.result()
        listed = None if self._is_new else self._listed.get(name)  # it was asked for before there was a repository
        return listed.result() if listed else self._once_known(lambda: self.access.files(name))

    def index(self) -> Index:
        return self.access.index

    def upload(self, distribution: Distribution) -> PublishedFile:
        """Send a file; who reads is settled by now."""
        access, settings = self.access, self._settings
        uploader = Uploader(
            settings.repository,
            self._context,
            self._session,
            access.source,
            access.index,
            if_exists=settings.if_exists,
        )
        return self._once_known(lambda: uploader.upload(distribution))

    def attaching(self) -> Attach:
        """What attaches evidence to a version here."""
        from gar_publish.registry.attachments import AttachmentApi  # an option

        settings, context = self._settings, self._context
        who = member(settings.credential, context.environment)
        api = AttachmentApi(settings.repository, self._google_api(), who)
        return partial(api.attach, verify=settings.verify)

    def open_source(self, repository: Repository) -> Access:
        """Read another repository, to promote from, with the same identity; for the main thread.

        Raises:
            Failure: It is not there or cannot be read, or uploads to this one cannot work.
        """
        identity = result(self._access).source
        reader = Access(identity, repository, self._settings.index_token, self._context, self._session)
        result(self._readers.submit(self._api(repository).check_source))
        result(self._checked)
        return reader

    def _open_access(self) -> Access:
        settings = self._settings
        access = open_access(
            settings.repository, settings.credential, settings.index_token, self._context, self._session
        )
        self._readers.submit(access.reader.token)
        access.source.token()
        return access

    def _check_repository(self) -> None:
        """See to it that uploads can work."""
        settings = self._settings
        self._access.result()
        # The REST API takes tokens alone, and its host may be out of reach where a key is the password.
        if settings.repository.resource and not isinstance(settings.credential, KeyPassword):
            repository = self._api(settings.repository)
            self._is_new = repository.check(create=settings.create_repository, dry_run=settings.dry_run)

    def _look_up(self, name: str) -> Mapping[str, IndexFile]:
        return self.access.files(name)

    def _once_known(self, call: Callable[[], Answer]) -> Answer:
        return once_known(call, self._context) if self._is_new else call()

    def _api(self, repository: Repository) -> RepositoryApi:
        who = member(self._settings.credential, self._context.environment)
        return RepositoryApi(repository, self._google_api(), who)

    def _google_api(self) -> GoogleApi:
        return GoogleApi(self._context, self._session, self.access.source)
