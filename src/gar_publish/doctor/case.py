"""What the doctor knows so far: each link leaves what the next ones need."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import requests

from gar_publish.auth.sources import open_source
from gar_publish.auth.tokens import TokenSource
from gar_publish.console import Console
from gar_publish.context import Context, RetryPolicy
from gar_publish.doctor.iam import Viewer
from gar_publish.errors import Failure
from gar_publish.registry.google_api import GoogleApi
from gar_publish.registry.repository_api import RepositoryApi
from gar_publish.settings.credential import Ambient, Credential
from gar_publish.settings.repository import Repository
from gar_publish.settings.settings import IndexToken
from gar_publish.transport.session import new_session

HASTE = RetryPolicy(tries=2, first=0.2, longest=1.0, total=15.0, least=1, timeouts=(5.0, 10.0))
"""The doctor insists less than publishing does: it runs where something is wrong already."""


class NotChecked(Exception):
    """There is nothing to check, or nobody may look; says why."""


@dataclass(frozen=True)
class Clocks:
    """Time and names, as this machine has them.

    Attributes:
        now: The time, as an aware one.
        resolve: Looks a host name up; raises OSError where it has no address.
    """

    now: Callable[[], datetime]
    resolve: Callable[[str], object]


@dataclass
class Case:
    """One examination.

    Attributes:
        inputs: As the action or the command got them.
        context: Where it happens; nothing is said to its console, but what has to be masked.
        machine: This machine's clock and names.
        session: What requests are made with.
        repository: Set by the link `inputs`, as is the next.
        credential: Who publishes.
        promotes_from: The repository that a promotion reads; set by the link `inputs`, as are the next two.
        index_token: What the ready line is to carry.
        evidence: Whether anything is to be attached to versions.
        claims: What the job's identity token says; set by the link `subject-token`.
        source: Tokens of whoever publishes; set by the last link of the credential.
        described: The repository as the API describes it, once somebody could see it.
    """

    inputs: Mapping[str, str]
    context: Context
    machine: Clocks
    session: requests.Session
    viewer: Viewer
    repository: Repository | None = None
    credential: Credential | None = None
    promotes_from: Repository | None = None
    index_token: IndexToken = field(default="auto")
    evidence: bool = False
    claims: Mapping[str, Any] = field(default_factory=dict)
    source: TokenSource | None = None
    described: Mapping[str, Any] = field(default_factory=dict)

    @property
    def target(self) -> Repository:
        """The repository, once it is known."""
        if self.repository is None:
            raise NotChecked("the repository is not known")
        return self.repository

    def api(self) -> GoogleApi:
        """Google's REST APIs, as whoever publishes sees them."""
        if self.source is None:
            raise NotChecked("nobody to ask as")
        return GoogleApi(self.context, self.session, self.source)

    def repository_api(self, repository: Repository, api: GoogleApi | None = None) -> RepositoryApi:
        return RepositoryApi(repository, endpoints=self.context.endpoints, api=api or self.api())

    def open_source(self, credential: Credential) -> TokenSource:
        """Tokens as publishing gets them.

        Raises:
            Failure: There are none to be had.
        """
        return open_source(credential, self.context, self.session)


@contextmanager
def opened(inputs: Mapping[str, str], context: Context, machine: Clocks) -> Iterator[Case]:
    """Begin an examination."""
    retry_policy = replace(HASTE, sleep=context.retry_policy.sleep, clock=context.retry_policy.clock)
    context = replace(context, console=_Quiet(context.console), retry_policy=retry_policy)
    with new_session(retry_policy) as session:

        def ambient() -> GoogleApi | None:
            try:
                source = open_source(Ambient(), context, session)
                source.token()
            except Failure:
                return None
            return GoogleApi(context, session, source)

        yield Case(inputs, context, machine, session, Viewer(ambient, context.endpoints))


@dataclass(frozen=True)
class _Quiet:
    """A console that only masks: what the doctor has to say, it says at the end."""

    console: Console

    def group(self, _: str) -> AbstractContextManager[None]:
        return nullcontext()

    def info(self, _: str) -> None:
        pass

    notice = warning = info

    def mask(self, secret: str) -> None:
        self.console.mask(secret)

    def progress(self, _: str, __: int) -> AbstractContextManager[Callable[[int], None]]:
        return nullcontext(lambda _: None)

    def foreign(self) -> AbstractContextManager[Callable[[str], None]]:
        return nullcontext(self.info)
