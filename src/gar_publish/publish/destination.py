"""The repository that a run publishes to."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from gar_publish.context import Context
from gar_publish.distributions.distribution import Distribution
from gar_publish.errors import BadInput, BuildFailure, Conflict, Failure, FileRefused, RegistryRefused, Unreachable
from gar_publish.projects.find import Project
from gar_publish.registry.access import Access, open_access
from gar_publish.registry.google_api import GoogleApi
from gar_publish.registry.index import IndexFile
from gar_publish.registry.outcomes import PublishedFile
from gar_publish.registry.repository_api import RepositoryApi
from gar_publish.registry.upload import Uploader
from gar_publish.settings.credential import KeyPassword, member
from gar_publish.settings.index_url import Login, url_with_login
from gar_publish.settings.repository import Repository
from gar_publish.settings.settings import Settings
from gar_publish.threads import result
from gar_publish.transport.retry import once_known
from gar_publish.transport.session import Session

if TYPE_CHECKING:
    from gar_publish.registry.attachments import AttachmentApi

Answer = TypeVar("Answer")
OF_ONE_FILE = (BadInput, BuildFailure, Conflict, FileRefused, Unreachable)
"""Failures after which other files may still be published."""


class Destination:
    """The repository of one run.

    Tokens and index pages are requested at once, in other threads; the methods wait for what they need.

    Args:
        settings: The inputs.
        context: Where the run happens.
        projects: The projects that will be published, if known.
        session: Makes the requests.
        readers: The threads that ask servers.

    Attributes:
        scratch: A folder for files of the registry; None in a promotion, where each byte counts.
    """

    def __init__(
        self,
        settings: Settings,
        context: Context,
        projects: Sequence[Project],
        session: Session,
        readers: Executor,
        *,
        scratch: Path,
    ) -> None:
        self.scratch = None if settings.promotion else scratch
        self._settings = settings
        self._context = context
        self._readers = readers
        self._session = session
        self._is_new = False
        self._lock = Lock()
        self._refusal: Failure | None = None
        self._access = readers.submit(self._open_access)
        self._checked = readers.submit(self._check_repository)
        self._listed = {each.name: readers.submit(self._list, each.name) for each in projects if each.name}

    @property
    def access(self) -> Access:
        return self._access.result()

    def check(self) -> None:
        """Raise Failure if it is known already that nothing can be published."""
        futures: list[Future[Any]] = [self._access, self._checked]
        if self._checked.done() and not self._is_new:
            futures += self._listed.values()
        for asked in futures:
            failure = asked.exception() if asked.done() else None
            if isinstance(failure, Failure) and (asked is self._checked or not isinstance(failure, OF_ONE_FILE)):
                raise self.explain(failure)

    def files(self, name: str) -> Mapping[str, IndexFile]:
        """Return the files of a project in the index, once it is known that the repository takes uploads."""
        self._checked.result()
        listed = None if self._is_new else self._listed.get(name)  # those requests came before the repository
        return self._explained(listed.result if listed else lambda: self._list(name))

    def upload(self, distribution: Distribution) -> PublishedFile:
        """Upload a file that was compared with the index."""
        access, settings = self.access, self._settings
        uploader = Uploader(
            settings.repository,
            self._context,
            self._session,
            access.source,
            access.index,
            if_exists=settings.if_exists,
            scratch=self.scratch,
        )
        return self._explained(lambda: uploader.upload(distribution))

    def explain(self, failure: Failure) -> Failure:
        """Return a refusal of the repository with its reason, which is looked for once."""
        if failure.anchor not in {"registry-400", "registry-403"} or isinstance(failure, FileRefused):
            return failure
        with self._lock:
            self._refusal = self._refusal or self.access.explain(failure, self._settings.credential, publishes=True)
            return self._refusal

    def index_with_token(self) -> str:
        """Return the URL of the repository's index, with a token that reads it."""
        token = self.access.build_token()
        return url_with_login(self._settings.repository.index_url, Login(token.user, token.value))

    def attachments(self) -> "AttachmentApi":
        """Open the attachments of the repository."""
        from gar_publish.registry.attachments import AttachmentApi  # only evidence needs it

        return AttachmentApi(self._settings.repository, *self._google_api())

    def open_source(self, repository: Repository) -> Access:
        """Open another repository, to promote from, as the same identity. Only the main thread may call it.

        Raises:
            Failure: It does not exist or cannot be read, or this repository takes no uploads.
        """
        identity = result(self._access).source
        access = Access(identity, repository, self._settings.index_token, self._context, self._session)
        result(self._readers.submit(self._repository_api(repository).check_source))
        result(self._checked)
        return access

    def _open_access(self) -> Access:
        settings = self._settings
        access = open_access(
            settings.repository, settings.credential, settings.index_token, self._context, self._session
        )
        self._readers.submit(access.reader.token)
        access.source.token()
        return access

    def _check_repository(self) -> None:
        settings = self._settings
        self._access.result()
        # The REST API takes only tokens, and a network with a key as the password may not reach its host.
        if settings.repository.resource and not isinstance(settings.credential, KeyPassword):
            api = self._repository_api(settings.repository)
            self._is_new = api.check(
                create=settings.create_repository, dry_run=settings.dry_run, previews=settings.preview
            )

    def _list(self, name: str) -> Mapping[str, IndexFile]:
        return self.access.files(name)

    def _explained(self, call: Callable[[], Answer]) -> Answer:
        try:
            return once_known(call, self._context) if self._is_new else call()
        except RegistryRefused as failure:
            raise self.explain(failure) from None

    def _repository_api(self, repository: Repository) -> RepositoryApi:
        return RepositoryApi(repository, *self._google_api())

    def _google_api(self) -> tuple[GoogleApi, str]:
        """Return the API as the publisher, and the publisher's name in IAM."""
        api = GoogleApi(self._context, self._session, self.access.source)
        return api, member(self._settings.credential, self._context.environment)
