"""The state of one examination: each check leaves what the next ones need."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import requests

from gar_publish.auth.sources import open_source
from gar_publish.auth.tokens import TokenSource
from gar_publish.console import Console, Unit
from gar_publish.context import Context
from gar_publish.doctor.iam import Viewer
from gar_publish.errors import Failure
from gar_publish.registry.google_api import GoogleApi
from gar_publish.registry.repository_api import RepositoryApi
from gar_publish.settings.credential import Ambient, Credential
from gar_publish.settings.repository import Repository
from gar_publish.settings.settings import IndexToken
from gar_publish.transport.session import new_session


class NotChecked(Exception):
    """There is nothing to check, or no permission to look; the text says why."""


@dataclass(frozen=True)
class Machine:
    """The clock and the name service of this machine.

    Attributes:
        now: Returns the time, with a time zone.
        resolve: Looks up a host name; raises OSError if it has no address.
    """

    now: Callable[[], datetime]
    resolve: Callable[[str], object]


@dataclass
class Case:
    """One examination.

    Attributes:
        inputs: The inputs of the action or the command.
        context: Where it happens; its console only masks secrets.
        machine: This machine's clock and name service.
        session: Sends the requests.
        viewer: Reads IAM with the machine's own credentials.
        repository: Set by the check `inputs`, as are the next four.
        credential: The publisher's credential.
        promotes_from: The repository that a promotion reads.
        index_token: The token for the install option.
        evidence: Whether anything is attached to versions.
        clock_offsets: The seconds that the clock of each host is ahead of ours; set by the check `network`.
        claims: The claims of the job's identity token; set by the check `subject-token`.
        source: The publisher's tokens; set by the last check of the credential.
        described: The API's description of the repository; empty until a check sees it.
    """

    inputs: Mapping[str, str]
    context: Context
    machine: Machine
    session: requests.Session
    viewer: Viewer
    repository: Repository | None = None
    credential: Credential | None = None
    promotes_from: Repository | None = None
    index_token: IndexToken = field(default="auto")
    evidence: bool = False
    clock_offsets: Mapping[str, float] = field(default_factory=dict)
    claims: Mapping[str, Any] = field(default_factory=dict)
    source: TokenSource | None = None
    described: Mapping[str, Any] = field(default_factory=dict)

    @property
    def target(self) -> Repository:
        """Return the repository that is published to."""
        if self.repository is None:
            raise NotChecked("the repository is not known")
        return self.repository

    def api(self) -> GoogleApi:
        """Return Google's REST APIs as the publisher sees them."""
        if self.source is None:
            raise NotChecked("there is no credential to ask with")
        return GoogleApi(self.context, self.session, self.source)

    def repository_api(self, repository: Repository, api: GoogleApi | None = None) -> RepositoryApi:
        return RepositoryApi(repository, api or self.api())


@contextmanager
def open_case(inputs: Mapping[str, str], context: Context, machine: Machine) -> Iterator[Case]:
    """Begin an examination."""
    context = replace(context, console=_Quiet(context.console), retry_policy=context.retry_policy.for_doctor())
    with new_session(context.retry_policy, check_certificates=False) as session:

        def open_ambient() -> GoogleApi | None:
            try:
                source = open_source(Ambient(), context, session)
                source.token()
            except Failure:
                return None
            return GoogleApi(context, session, source)

        yield Case(inputs, context, machine, session, Viewer(open_ambient, context.endpoints))


@dataclass(frozen=True)
class _Quiet:
    """A console that only masks: the doctor writes its result at the end."""

    console: Console

    def group(self, _: str) -> AbstractContextManager[None]:
        return nullcontext()

    def info(self, _: str) -> None:
        pass

    notice = warning = info

    def mask(self, secret: str) -> None:
        self.console.mask(secret)

    def progress(self, _: str, __: int, ___: Unit = "bytes") -> AbstractContextManager[Callable[[int], None]]:
        return nullcontext(lambda _: None)

    def untrusted(self) -> AbstractContextManager[Callable[[str], None]]:
        return nullcontext(self.info)
