"""The HTTP requests that credentials need: retried, masked, explained, and sent to the emulator if there is one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests

from gar_publish.auth.refusals import explain
from gar_publish.auth.tokens import Token
from gar_publish.context import Context
from gar_publish.errors import CredentialsFailure
from gar_publish.transport.answers import json_of
from gar_publish.transport.retry import UnusableAnswer, with_retries

MALFORMED = (ArithmeticError, AttributeError, KeyError, TypeError, ValueError)
"""The exceptions of code that reads an answer without an expected field, or with one of another type."""

_ANSWER_SECONDS = 30.0
"""Shorter than for uploads."""

_SECRETS = ("access_token", "accessToken", "id_token", "value")
"""The fields with a token in the answers of STS and OAuth, IAM Credentials, OAuth, and GitHub."""


@dataclass(frozen=True)
class Answer:
    """An answer as google-auth expects it (`google.auth.transport.Response`)."""

    status: int
    headers: Mapping[str, str]
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Exchange:
    """Sends requests to token services, also for google-auth (`google.auth.transport.Request`).

    Attributes:
        names: The names in messages of failures: `provider`, `service_account` and others. No secrets.
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
        """Make one request for google-auth.

        Raises:
            CredentialsFailure: The answer is a refusal.
            Unreachable: There is no proper answer.
        """
        response = self.send(method, url, data=body, headers=headers)
        return Answer(response.status_code, response.headers, response.content)

    def json(self, method: str, url: str, **options: Any) -> Mapping[str, Any]:
        """Return the JSON object of an answer; `options` are those of `requests`.

        Raises:
            CredentialsFailure: The answer is a refusal.
            Unreachable: There is no proper answer.
        """
        answer: Mapping[str, Any] = self.send(method, url, **options).json()
        return answer

    def send(self, method: str, url: str, *, as_json: bool = True, **options: Any) -> requests.Response:
        """Return an answer with status 200, and a JSON object or else any body. Raises as `json`."""
        connect, answer = self.context.retry_policy.timeouts

        def call() -> requests.Response:
            response = self.session.request(
                method,
                self._rerouted(url),
                allow_redirects=False,
                timeout=(connect, min(answer, _ANSWER_SECONDS)),
                **options,
            )
            is_proper = _json_object(response) is not None if as_json else bool(response.content)
            if response.status_code == requests.codes.ok and not is_proper:
                raise UnusableAnswer(response, no_token())
            return response

        response = with_retries(call, self.context, f"get a token from {urlsplit(url).hostname}")
        if response.status_code != requests.codes.ok:
            raise explain(response, self.names)
        fields = (_json_object(response) or {}) if as_json else {}
        for secret in (fields.get(name) for name in _SECRETS):
            if isinstance(secret, str):
                self.context.console.mask(secret)
        return response

    def _rerouted(self, url: str) -> str:
        """Return the URL, or where the emulator stands in for it."""
        endpoints = self.context.endpoints
        if not endpoints.emulator or url.startswith(f"{endpoints.emulator}/"):
            return url
        parts = urlsplit(url)
        return endpoints.host(parts.netloc) + urlunsplit(("", "", parts.path, parts.query, ""))


def refresh(credentials: Any, exchange: Exchange) -> Token:
    """Return a new token of google-auth's credentials.

    Raises:
        CredentialsFailure: A server refuses, or its answer is malformed.
        Unreachable: A server does not answer.
    """
    from google.auth.exceptions import GoogleAuthError  # slow to import

    try:
        credentials.refresh(exchange)  # before_request() would start a thread that asks another host
        return new_token(credentials.token, credentials.expiry)
    except GoogleAuthError as error:
        # Further arguments of the error may have the answer, and with it a token.
        raise no_token(str(error.args[0]) if error.args else "") from None
    except MALFORMED:
        raise no_token() from None


def new_token(value: object, expires_at: datetime | None) -> Token:
    """Return a token of an answer. A time without a zone is UTC.

    Raises:
        ValueError: The value is no token, or there is no time.
    """
    if not isinstance(value, str) or not value or expires_at is None:
        raise ValueError("no token")
    return Token(value, expires_at if expires_at.tzinfo else expires_at.replace(tzinfo=UTC))


def no_token(detail: str = "") -> CredentialsFailure:
    """Return the failure for an answer without a token."""
    return CredentialsFailure(
        "A token service returned no token.",
        cause="a proxy changes answers, or this identity may not have this scope",
        fix="run the same command again; if the answer stays the same, pass a token as `access-token`",
        anchor="strange-token",
        detail=detail,
    )


def _json_object(response: requests.Response) -> dict[str, Any] | None:
    body = json_of(response)
    return body if isinstance(body, dict) else None
