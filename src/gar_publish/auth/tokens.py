"""What a token is, and how one is kept fresh for many threads."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Protocol

from gar_publish.errors import Unreachable
from gar_publish.settings.index_url import OAUTH_USER

PUBLISH_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
READ_ONLY_SCOPE = "https://www.googleapis.com/auth/cloud-platform.read-only"
"""https://developers.google.com/identity/protocols/oauth2/scopes"""

FRESH = timedelta(minutes=4)
"""A token with less time left is replaced: a large upload should not outlive it."""

_PAUSE = timedelta(minutes=1)
"""How long a token that could not be replaced serves, if it lasts, before the next one is asked for again."""


@dataclass(frozen=True)
class Token:
    """An access token, or what the registry takes in place of one.

    Attributes:
        value: The secret.
        expires_at: When it ends, as an aware UTC time; None where nobody knows.
        user: The user name that goes with it where it is a password.
    """

    value: str = field(repr=False)
    expires_at: datetime | None
    user: str = OAUTH_USER


class TokenSource(Protocol):
    """One identity's access tokens. May be shared by threads.

    Attributes:
        kind: How the identity is proved, in words: "workload identity".
    """

    @property
    def kind(self) -> str: ...

    def token(self) -> Token:
        """The current token; a new one where the current one is about to end.

        Raises:
            CredentialsFailure: The identity is refused.
            Unreachable: A server that is needed for it does not answer.
        """

    def renew(self, refused: str) -> Token:
        """A token other than `refused`, which a server answered with 401, where another can be had.

        Raises:
            CredentialsFailure: The identity is refused.
            Unreachable: A server that is needed for it does not answer.
        """

    def read_only(self) -> "TokenSource | None":
        """The same identity with a read-only scope; None where that cannot be had."""


class GivenSource:
    """A token that somebody else made, or a key in place of one: it can neither be renewed nor narrowed."""

    def __init__(self, value: str, user: str = OAUTH_USER) -> None:
        self.kind = "given access token" if user == OAUTH_USER else "service-account key as the password"
        self._token = Token(value, None, user)

    def token(self) -> Token:
        return self._token

    def renew(self, refused: str) -> Token:  # noqa: ARG002 - the protocol's signature
        return self._token

    def read_only(self) -> None:
        return None


class FreshSource:
    """Keeps the last token and fetches the next one in time; many threads share one fetch, and its failure.

    Args:
        kind: How the identity is proved.
        fetch: Fetches a new token of a scope.
        narrows: Whether `fetch` honours a read-only scope.
        scope: The scope to fetch.
        now: The time, as an aware UTC time.
    """

    def __init__(
        self,
        kind: str,
        fetch: Callable[[str], Token],
        *,
        narrows: bool = True,
        scope: str = PUBLISH_SCOPE,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.kind = kind
        self._fetch = fetch
        self._narrows = narrows
        self._scope = scope
        self._now = now
        self._lock = Lock()
        self._token: Token | None = None
        self._replace_at: datetime | None = None
        self._flight: Future[Token] | None = None

    def token(self) -> Token:
        try:
            return self._current(lambda _: self._replace_at is None or self._now() < self._replace_at)
        except Unreachable:
            with self._lock:
                last, now = self._token, self._now()
                if last and last.expires_at and now < last.expires_at:  # it serves for some minutes yet
                    self._replace_at = now + _PAUSE
                    return last
            raise

    def renew(self, refused: str) -> Token:
        return self._current(lambda token: token.value != refused)

    def read_only(self) -> "FreshSource | None":
        if not self._narrows:
            return None
        return FreshSource(self.kind, self._fetch, scope=READ_ONLY_SCOPE, now=self._now)

    def _current(self, is_good: Callable[[Token], bool]) -> Token:
        with self._lock:
            if self._token and is_good(self._token):
                return self._token
            flight, mine = self._flight, self._flight is None
            if flight is None:
                flight = self._flight = Future()
        if mine:
            self._fly(flight)
        return flight.result()

    def _fly(self, flight: "Future[Token]") -> None:
        try:
            asked_at = self._now()
            token = self._fetch(self._scope)
        except BaseException as error:  # noqa: BLE001 - whoever waits for this fetch gets its failure too
            with self._lock:
                self._flight = None
            flight.set_exception(error)
            return
        with self._lock:
            self._token, self._flight = token, None
            self._replace_at = None
            # A token that is new and has ended already means that our clock is fast; then a 401 will tell.
            if token.expires_at and token.expires_at > asked_at:  # half its life, where shorter than the margin
                self._replace_at = token.expires_at - min(FRESH, (token.expires_at - asked_at) / 2)
        flight.set_result(token)
