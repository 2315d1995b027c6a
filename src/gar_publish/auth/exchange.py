"""Every HTTP call that a credential needs: retried, masked, explained, and under an emulator kept there."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests

from gar_publish.auth.refusals import explain
from gar_publish.auth.tokens import Token
from gar_publish.context import Context
from gar_publish.errors import CredentialsFailure
from gar_publish.transport.retry import UnusableAnswer, with_retries

_ANSWER_SECONDS = 30.0
"""No token takes as long as an upload."""

_SECRETS = ("access_token", "accessToken", "id_token", "value")
"""The fields that hold a token in the answers of STS and OAuth, IAM Credentials, OAuth, and GitHub."""


@dataclass(frozen=True)
class Answer:
    """What google-auth expects of an answer (`google.auth.transport.Response`)."""

    status: int
    headers: Mapping[str, str]
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Exchange:
    """A transport for google-auth (`google.auth.transport.Request`), which by itself retries next to nothing.

    Attributes:
        names: What failures name: `provider`, `service_account` and the like. Never a secret.
    """

    context: Context
    session: requests.Session
    names: dict[str, str] = field(default_factory=dict)

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,  # noqa: ARG002 - google-auth's own is 120 s
        **_: Any,
    ) -> Answer:
        """Make one request of google-auth, and have it succeed.

        Raises:
            CredentialsFailure: The answer is a refusal.
            Unreachable: There is no proper answer.
        """
        response = self.send(method, url, _is_json_object, data=body, headers=headers)
        answer = response.json()
        for name in _SECRETS:
            if isinstance(answer.get(name), str):
                self.context.console.mask(answer[name])
        return Answer(response.status_code, response.headers, response.content)

    def get_json(self, url: str, **options: Any) -> Mapping[str, Any]:
        """Get a JSON object; `options` are those of `requests`. Masking what it holds is left to the caller.

        Raises:
            CredentialsFailure: The answer is a refusal.
            Unreachable: There is no proper answer.
        """
        answer: Mapping[str, Any] = self.send("GET", url, _is_json_object, **options).json()
        return answer

    def send(
        self, method: str, url: str, is_proper: Callable[[requests.Response], bool], **options: Any
    ) -> requests.Response:
        """Make one request until its answer is final, and have it be 200 and proper.

        Raises:
            CredentialsFailure: The answer is a refusal.
            Unreachable: There is no proper answer.
        """
        connect, answer = self.context.retry_policy.timeouts

        def call() -> requests.Response:
            response = self.session.request(
                method,
                self._kept_in(url),
                allow_redirects=False,
                timeout=(connect, min(answer, _ANSWER_SECONDS)),
                **options,
            )
            if response.status_code == requests.codes.ok and not is_proper(response):
                raise UnusableAnswer(response, _strange(""))
            return response

        response = with_retries(call, self.context, f"get a token from {urlsplit(url).hostname}")
        if response.status_code != requests.codes.ok:
            raise explain(response, self.names)
        return response

    def _kept_in(self, url: str) -> str:
        """The URL itself, or the emulator's stand-in for it."""
        emulator = self.context.endpoints.emulator
        if not emulator or url.startswith(f"{emulator}/"):
            return url
        parts = urlsplit(url)
        return self.context.endpoints.host(parts.netloc) + urlunsplit(("", "", parts.path, parts.query, ""))


def refresh(credentials: Any, exchange: Exchange) -> Token:
    """Have google-auth's credentials fetch their token.

    Raises:
        CredentialsFailure: A server refuses, or answers in a way that google-auth does not understand.
        Unreachable: A server does not answer.
    """
    with understood():
        credentials.refresh(exchange)  # before_request() would start a thread that asks another host
        return new_token(credentials.token, credentials.expiry)


def new_token(value: object, expires_at: datetime | None) -> Token:
    """A token out of an answer; a time without a zone is UTC.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(value, str) or not value or expires_at is None:
        raise ValueError("no token")
    return Token(value, expires_at if expires_at.tzinfo else expires_at.replace(tzinfo=UTC))


@contextmanager
def understood() -> Iterator[None]:
    """Explain what cannot be made of a token service's answer.

    Raises:
        CredentialsFailure: The answer is not one that google-auth, or the code in the context, understands.
    """
    from google.auth.exceptions import GoogleAuthError  # slow to import

    try:
        yield
    except (GoogleAuthError, ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        # The error's further arguments may hold the answer, and with it a token.
        words = str(error.args[0]) if isinstance(error, GoogleAuthError) and error.args else ""
        raise _strange(words) from None


def _strange(words: str) -> CredentialsFailure:
    return CredentialsFailure(
        "A token service answered, but not with a token.",
        cause="a proxy that changes answers, or an identity that may not have this scope",
        fix="run it again; if the answer stays the same, make a token another way, and set `access-token`",
        anchor="strange-token",
        detail=words,
    )


def _is_json_object(response: requests.Response) -> bool:
    try:
        return isinstance(response.json(), dict)
    except (ValueError, RecursionError):  # brackets without end
        return False
