"""Calls of Google's REST APIs: with a token, asked again while a server is out of order, JSON objects alone.

See https://google.aip.dev/193 (errors) and https://google.aip.dev/151 (long-running operations).
"""

from collections.abc import Mapping
from typing import Any

import requests

from gar_publish.auth.http_auth import with_renewal
from gar_publish.auth.tokens import TokenSource
from gar_publish.context import OPERATION_WAITS, Context
from gar_publish.errors import RegistryRefused
from gar_publish.transport.answers import harmless, server_text
from gar_publish.transport.retry import UnusableAnswer, poll, with_retries
from gar_publish.transport.session import is_success


class GoogleApi:
    """What the clients of single APIs share."""

    def __init__(self, context: Context, session: requests.Session, source: TokenSource) -> None:
        self.context = context
        self._session = session
        self._source = source

    def call(
        self,
        method: str,
        url: str,
        *,
        what: str,
        params: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Make one call; a refusal (4xx) is an answer like any other.

        Args:
            method: The HTTP method.
            url: The whole URL, without its query.
            what: What it is for, as a verb: "ask for us/p/r".
            params: The query.
            json: The body as JSON, or else `data`.
            data: The body as it is; `headers` say what it is.
            headers: Of the request; its authorization is added.

        Raises:
            Unreachable: No proper answer, however often it was asked.
            RegistryRefused: Something answered that is not Google's API.
            CredentialsFailure: No token could be had.
        """

        def ask() -> requests.Response:
            response = with_renewal(
                lambda: self._session.request(
                    method,
                    url,
                    params=params,
                    json=json,
                    data=data,
                    headers={**(headers or {}), "Authorization": f"Bearer {self._source.token().value}"},
                    allow_redirects=False,
                ),
                self._source,
            )
            if is_success(response):
                json_object(response)
            return response

        return with_retries(ask, self.context, what)

    def wait_for(self, operation: dict[str, Any], base: str, *, what: str) -> dict[str, Any]:
        """Wait a minute at most for a long-running operation.

        Args:
            operation: As it was answered to the call that started it.
            base: The API's URL, up to the version.
            what: What is waited for: "us/p/r is being created".

        Returns:
            The operation as it is then: `done`, with an `error` or a `response`, or still running.
        """
        first = iter([operation])
        url = f"{base}/{operation.get('name', '')}"

        def look() -> dict[str, Any]:
            return next(first, None) or json_object(self.call("GET", url, what="see how far that is"))

        return poll(look, lambda answer: answer.get("done"), OPERATION_WAITS, what, self.context)


def json_object(response: requests.Response) -> dict[str, Any]:
    """The JSON object in an answer.

    Raises:
        UnusableAnswer: Something else is in it.
    """
    try:
        body = response.json()
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        failure = RegistryRefused(
            "Artifact Registry's API answered with something that is not an answer of Google's.",
            cause="a proxy or a login page answered in its place",
            fix="ask it yourself: gcloud artifacts repositories list --project=PROJECT",
            anchor="not-an-api",
        )
        raise UnusableAnswer(response, failure)
    return body


def said(response: requests.Response) -> str:
    """An error's message, or whatever else stands there."""
    try:
        return harmless(str(response.json()["error"]["message"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return server_text(response)


def why_failed(operation: Mapping[str, Any]) -> str | None:
    """What an operation that was waited for says of its failure; None for success."""
    if "error" in operation:
        error = operation["error"]
        return harmless(str(error.get("message", "") if isinstance(error, dict) else error))
    return None if operation.get("done") else "the operation did not end in a minute"
