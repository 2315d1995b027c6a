"""The flow of a publishing run, and nothing else."""

import tempfile
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from gar_publish import build, distributions, projects
from gar_publish.access import Access
from gar_publish.artifact_registry import RepositoryApi
from gar_publish.console import Console
from gar_publish.credentials import Token, TokenSource, open_source
from gar_publish.delivery import Delivery, result
from gar_publish.distributions import Distribution
from gar_publish.endpoints import Endpoints
from gar_publish.errors import Failure, cancelled, mistake_of_ours
from gar_publish.http import new_session, refuse_plain_http
from gar_publish.identity import Credential, KeyPassword
from gar_publish.index import Index
from gar_publish.login import Login, url_with_login
from gar_publish.patience import Patience
from gar_publish.report import Report
from gar_publish.repository import Repository
from gar_publish.settings import IndexToken, Settings
from gar_publish.upload import Uploader

_UPLOADS_AT_ONCE = 8


@dataclass(frozen=True)
class Surroundings:
    """Where a run happens.

    Attributes:
        workspace: The folder that `packages` and `dist` start from.
        environment: The environment's variables.
        endpoints: Google's hosts, or the emulator's.
        console: Who watches.
        patience: How long servers are asked again.
        container: Whether the run has a container to itself, where a build must never run as root.
        settled: Called as soon as nothing can change the outcome: from then on, nothing may keep it from being told.
    """

    workspace: Path
    environment: Mapping[str, str]
    endpoints: Endpoints
    console: Console
    patience: Patience
    container: bool = False
    settled: Callable[[], None] = lambda: None


def publish(settings: Settings, around: Surroundings) -> Report:
    """Build, check, compare, upload and read back; the tokens are fetched while the build runs.

    This thread builds and waits, and whatever asks a server has a thread of its own: so a KeyboardInterrupt ends the
    run at any moment. Threads that wait for an answer then go on by themselves, until the process ends.

    Returns:
        What happened. What failed after the comparing began, or that the run was cancelled, is in it.

    Raises:
        Failure: Something was wrong before that; nothing was uploaded.
    """
    refuse_plain_http(settings.repository.upload_url, around.endpoints.emulator)
    pool = ThreadPoolExecutor(max_workers=settings.jobs or _UPLOADS_AT_ONCE)
    # On Windows, a file that a thread is still sending cannot be removed.
    with tempfile.TemporaryDirectory(prefix="gar-publish-", ignore_cleanup_errors=True) as scratch:
        try:
            return _publish(settings, around, Path(scratch), pool)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _publish(settings: Settings, around: Surroundings, scratch: Path, pool: Executor) -> Report:
    delivery = Delivery([], pool)
    token: Token | None = None
    stopped: Failure | None = None
    try:
        opening = pool.submit(_open_access_and_check, settings, around)
        delivery = Delivery(_distributions(settings, around, scratch, opening, pool), pool)
        access = result(opening)
        delivery.compare(access, settings.if_exists)
        try:
            if not settings.dry_run:
                delivery.carry_out(access, _uploader(settings, around, access), verify=settings.verify)
            if not delivery.failed:
                token = result(pool.submit(access.line_token))
        except Failure as failure:  # what was published is published
            stopped = failure
        except Exception as error:  # noqa: BLE001 - and is told, whatever mistake of ours came after it
            stopped = mistake_of_ours(error)
        around.settled()
    except KeyboardInterrupt:
        stopped = cancelled()
    files = delivery.end(dry_run=settings.dry_run)
    read_back = settings.verify and not settings.dry_run and not delivery.failed and not stopped
    return Report(
        repository=settings.repository,
        files=files,
        dry_run=settings.dry_run,
        verified=read_back and all(each.status != "skipped" for each in files),
        index_token=token.value if token else "",
        token_expires_at=token.expires_at if token else None,
        stopped=stopped,
    )


def _uploader(settings: Settings, around: Surroundings, access: Access) -> Uploader:
    return Uploader(
        settings.repository.upload_url,
        session=new_session(around.patience),
        source=access.source,
        index=access.index,
        if_exists=settings.if_exists,
        patience=around.patience,
        console=around.console,
    )


def open_access(
    repository: Repository, credential: Credential, index_token: IndexToken, around: Surroundings
) -> Access:
    """Find out who publishes and who reads, and get the first token.

    Raises:
        Failure: There is no token to be had.
    """
    refuse_plain_http(repository.upload_url, around.endpoints.emulator)
    source = open_source(
        credential,
        endpoints=around.endpoints,
        session=new_session(around.patience),
        patience=around.patience,
        console=around.console,
        environment=around.environment,
    )
    source.token()

    def open_index(reader: TokenSource) -> Index:
        return Index(
            repository.index_url,
            session=new_session(around.patience),
            source=reader,
            patience=around.patience,
            on_wait=around.console.info,
        )

    return Access(source, index_token, open_index, around.console)


def _open_access_and_check(settings: Settings, around: Surroundings) -> Access:
    access = open_access(settings.repository, settings.credential, settings.index_token, around)
    # The REST API takes tokens alone, and its host may be out of reach where a key is the password.
    if settings.repository.resource and not isinstance(settings.credential, KeyPassword):
        api = RepositoryApi(
            settings.repository,
            endpoints=around.endpoints,
            session=new_session(around.patience),
            source=access.source,
            patience=around.patience,
            on_wait=around.console.info,
        )
        api.check(create=settings.create_repository, dry_run=settings.dry_run)
    return access


def _distributions(
    settings: Settings, around: Surroundings, scratch: Path, opening: "Future[Access]", pool: Executor
) -> list[Distribution]:
    """Collect or build, and check everything that can be checked before the first byte leaves."""
    if settings.dist:
        found = [distributions.read(path) for path in distributions.collect(settings.dist, around.workspace)]
    else:
        found = _built(settings, around, scratch, opening, pool)
    if settings.expected_version is not None:
        distributions.check_expected(found, str(settings.expected_version))
    for each in found:
        for warning in distributions.warnings(each):
            around.console.warning(warning)
    return found


def _built(
    settings: Settings, around: Surroundings, scratch: Path, opening: "Future[Access]", pool: Executor
) -> list[Distribution]:
    def private_index(names: Collection[str]) -> str | None:
        return result(pool.submit(_private_index, settings.repository, opening, names))

    found = []
    for built in build.build(
        projects.find(settings.packages, around.workspace),
        formats=settings.formats,
        out=scratch,
        console=around.console,
        environment=around.environment,
        private_index=private_index,
        insist=around.container,
    ):
        for path in built.files:
            distribution = distributions.read(path)
            distributions.check_name(distribution, built.project)
            found.append(distribution)
    return found


def _private_index(repository: Repository, opening: "Future[Access]", names: Collection[str]) -> str | None:
    """The repository's index with a reading token, if it holds any of these build requirements."""
    access = opening.result()
    if not any(access.files(name) for name in names):
        return None
    token = access.reading_token()
    return url_with_login(repository.index_url, Login(token.user, token.value))
