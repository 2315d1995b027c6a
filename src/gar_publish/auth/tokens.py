"""Access tokens, and sources that keep one fresh for many threads."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Protocol

from gar_publish.console import rfc3339
from gar_publish.errors import CredentialsFailure, Failure, Unreachable
from gar_publish.settings.index_url import OAUTH_USER

PUBLISH_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
READ_ONLY_SCOPE = "https://www.googleapis.com/auth/cloud-platform.read-only"
"""https://developers.google.com/identity/protocols/oauth2/scopes"""

FRESH = timedelta(minutes=4)
"""A token that expires sooner is replaced, so that it does not expire during a large upload."""

_YOUNG = 0.1
"""The part of its life after which a token is replaced before it is handed out."""

_SHORT = timedelta(minutes=10)
"""A token that is handed out with less time left comes with a warning."""

_PAUSE = timedelta(minutes=1)
"""The time between two attempts to replace a token, while a server does not answer."""


@dataclass(frozen=True)
class Token:
    """An access token, or a key in place of one.

    Attributes:
        value: The secret.
        expires_at: The time in UTC when it expires, if known.
        user: The user name for basic authentication.
        quota_project: The project whose quota Google's APIs use; None for their own choice.
        federated: Whether it is a federated identity's own. Then it expires with the identity token that it was
            exchanged for.
    """

    value: str = field(repr=False)
    expires_at: datetime | None
    user: str = OAUTH_USER
    quota_project: str | None = None
    federated: bool = False


def expiry_warning(token: Token) -> str:
    """Return the warning for a token that is handed out and expires soon; empty for any other token."""
    if token.expires_at is None or token.expires_at - datetime.now(UTC) >= _SHORT:
        return ""
    longer = (
        "set `service-account`, because the tokens of a service account last an hour"
        if token.federated
        else "get another token right before the install"
    )
    return (
        f"The token for installs expires at {rfc3339(token.expires_at)}, in less than ten minutes. After that, an "
        f"install fails, or pip takes a public package of the same name. To install later, {longer}."
    )


class TokenSource(Protocol):
    """The access tokens of one identity. Threads may share it.

    Attributes:
        kind: The kind of credential in words: "workload identity".
    """

    @property
    def kind(self) -> str: ...

    def token(self) -> Token:
        """Return the current token, or a new one if that expires soon.

        Raises:
            CredentialsFailure: The identity is refused.
            Unreachable: A server that is needed for it does not answer.
        """

    def to_hand_out(self) -> Token:
        """Return a token with at least nine tenths of its life left, where possible. Raises as `token`.

        This process cannot replace a token that it has handed out.
        """

    def renew(self, refused: str) -> Token:
        """Return another token than `refused`, which a server answered with 401, if there is one. Raises as `token`."""

    def read_only(self) -> "TokenSource | None":
        """Return the same identity with a read-only scope, if possible."""


class GivenSource:
    """A token that the user gave, or a key: it can neither be renewed nor made read-only."""

    def __init__(self, value: str, user: str = OAUTH_USER) -> None:
        self.kind = "given access token" if user == OAUTH_USER else "service-account key as the password"
        self._token = Token(value, None, user)

    def token(self) -> Token:
        return self._token

    def to_hand_out(self) -> Token:
        return self.token()

    def renew(self, refused: str) -> Token:  # noqa: ARG002 - the protocol's signature
        return self._token

    def read_only(self) -> None:
        return None


class FreshSource:
    """Keeps a token, and fetches the next one before it expires. Threads share one fetch and its failure.

    Args:
        kind: The kind of credential in words.
        fetch: Fetches a new token with a scope.
        narrows: Whether `fetch` respects a read-only scope.
        scope: The scope to fetch.
        now: Returns the time in UTC.
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
        self._young_until: datetime | None = None
        self._pending: Future[Token] | None = None

    def token(self) -> Token:
        return self._until(lambda: self._replace_at, (Unreachable,))

    def to_hand_out(self) -> Token:
        return self._until(lambda: self._young_until, (Unreachable, CredentialsFailure))

    def renew(self, refused: str) -> Token:
        return self._current(lambda token: token.value != refused)

    def read_only(self) -> "FreshSource | None":
        if not self._narrows:
            return None
        return FreshSource(self.kind, self._fetch, scope=READ_ONLY_SCOPE, now=self._now)

    def _until(self, end: Callable[[], datetime | None], tolerated: tuple[type[Failure], ...]) -> Token:
        """Return the current token until `end`, then a new one; after a tolerated failure, one that is still valid."""
        try:
            return self._current(lambda _: (moment := end()) is None or self._now() < moment)
        except tolerated:
            with self._lock:
                last, now = self._token, self._now()
                if last and last.expires_at and now < last.expires_at:  # it is valid for some minutes yet
                    self._replace_at = now + _PAUSE
                    return last
            raise

    def _current(self, is_good: Callable[[Token], bool]) -> Token:
        with self._lock:
            if self._token and is_good(self._token):
                return self._token
            pending, is_first = self._pending, self._pending is None
            if pending is None:
                pending = self._pending = Future()
        if is_first:
            self._fetch_for_all(pending)
        return pending.result()

    def _fetch_for_all(self, pending: "Future[Token]") -> None:
        try:
            asked_at = self._now()
            token = self._fetch(self._scope)
        except BaseException as error:  # noqa: BLE001 - every thread that waits gets it
            with self._lock:
                self._pending = None
            pending.set_exception(error)
            return
        with self._lock:
            self._token, self._pending = token, None
            self._replace_at = self._young_until = None
            # A new token that has expired already means that this machine's clock is wrong. Then a 401 decides.
            if token.expires_at and token.expires_at > asked_at:
                life = token.expires_at - asked_at
                self._replace_at = token.expires_at - min(FRESH, life / 2)
                self._young_until = asked_at + life * _YOUNG
        pending.set_result(token)
