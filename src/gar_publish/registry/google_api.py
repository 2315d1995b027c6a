"""Calls of Google's REST APIs, with retries. Errors: https://google.aip.dev/193"""

from collections.abc import Mapping
from typing import Any

import requests

from gar_publish.auth.http_auth import bearer, with_renewal
from gar_publish.auth.tokens import TokenSource
from gar_publish.context import OPERATION_WAITS, Context
from gar_publish.errors import RegistryRefused
from gar_publish.transport.answers import harmless, json_of, server_text
from gar_publish.transport.retry import UnusableAnswer, poll, with_retries
from gar_publish.transport.session import is_success


class GoogleApi:
    """Calls any API of Google as one identity."""

    def __init__(self, context: Context, session: requests.Session, source: TokenSource) -> None:
        self.context = context
        self._session = session
        self._source = source

    def call(
        self, method: str, url: str, *, what: str, headers: Mapping[str, str] | None = None, **body: Any
    ) -> requests.Response:
        """Make one call, and return its answer, which may be a refusal (4xx).

        Args:
            method: The HTTP method.
            url: The URL without a query.
            what: The purpose as a verb: "ask for us/p/r".
            headers: More headers than the authorization.
            body: `params`, `json`, `data` or `allow_redirects` of requests; redirects are not followed by default.

        Raises:
            Unreachable: There is no proper answer.
            RegistryRefused: The answer is not JSON.
            CredentialsFailure: There is no token.
        """

        def request() -> requests.Response:
            sent = {**(headers or {}), **bearer(self._source.token())}
            options = {"allow_redirects": False, **body}
            return self._session.request(method, url, headers=sent, **options)

        def attempt() -> requests.Response:
            response = with_renewal(request, self._source)
            if is_success(response):
                json_object(response)
            return response

        return with_retries(attempt, self.context, what)

    def wait_for(self, operation: dict[str, Any], base: str, *, what: str) -> dict[str, Any]:
        """Return a long-running operation when it is done, or after a minute (https://google.aip.dev/151).

        Args:
            operation: The answer to the call that started it.
            base: The API's URL, up to the version.
            what: What the operation does: "us/p/r is being created".
        """
        first = iter([operation])
        url = f"{base}/{operation.get('name', '')}"

        def look() -> dict[str, Any]:
            return next(first, None) or json_object(self.call("GET", url, what="ask whether the operation is done"))

        return poll(look, lambda answer: answer.get("done"), OPERATION_WAITS, what, self.context)


def json_object(response: requests.Response) -> dict[str, Any]:
    """Return the JSON object of an answer.

    Raises:
        UnusableAnswer: There is none.
    """
    body = json_of(response)
    if not isinstance(body, dict):
        failure = RegistryRefused(
            "Google's API answered, but not with a JSON object.",
            cause="a proxy or a login page answered in place of the API",
            fix="call the API with gcloud, and compare\n  gcloud artifacts repositories list --project=PROJECT",
            anchor="not-an-api",
        )
        raise UnusableAnswer(response, failure)
    return body


def said(response: requests.Response) -> str:
    """Return the message of an error, or else the text of the answer."""
    try:
        return harmless(str(json_of(response)["error"]["message"]))
    except (KeyError, TypeError):
        return server_text(response)


def why_failed(operation: Mapping[str, Any]) -> str | None:
    """Return why an operation failed; None if it succeeded."""
    if "error" in operation:
        error = operation["error"]
        return harmless(str(error.get("message", "") if isinstance(error, dict) else error))
    return None if operation.get("done") else "the operation did not end in a minute"
