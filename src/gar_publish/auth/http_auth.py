"""Adds tokens to requests, for one host only."""

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING

import requests
from requests.auth import AuthBase

from gar_publish.urls import origin

if TYPE_CHECKING:
    from gar_publish.auth.tokens import Token, TokenSource

QUOTA_HEADER = "x-goog-user-project"
"""https://cloud.google.com/docs/quotas/set-quota-project"""

GCLOUD_PROJECT = "764086051850"
"""The project of gcloud itself. Google counts requests for it if an application-default login names no other project,
and the APIs that gar-publish calls are disabled there."""


class HostAuth(AuthBase):
    """Sends the current token and its user name to one host only.

    https://cloud.google.com/artifact-registry/docs/python/authentication

    Args:
        url: Any URL of that host; its scheme, host and port count.
        source: Asked for the token of each request.
    """

    def __init__(self, url: str, source: "TokenSource") -> None:
        self._origin = origin(url)
        self._source = source

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if request.url and origin(request.url) == self._origin:
            token = self._source.token()
            pair = f"{token.user}:{token.value}"
            request.headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return request


def bearer(token: "Token") -> dict[str, str]:
    """Return the headers that authorize a request to one of Google's APIs."""
    quota = {QUOTA_HEADER: token.quota_project} if token.quota_project else {}
    return {"Authorization": f"Bearer {token.value}", **quota}


def login_of(request: requests.PreparedRequest) -> tuple[str, str]:
    """Return the user name and the token of an authorized request."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Basic":
        return "", token
    user, _, token = base64.b64decode(token).decode().partition(":")
    return user, token


def with_renewal(call: Callable[[], requests.Response], source: "TokenSource") -> requests.Response:
    """Make an authorized request, and once more with another token if the first is refused (401)."""
    response = call()
    if response.status_code != requests.codes.unauthorized:
        return response
    _, refused = login_of(response.request)
    if source.renew(refused).value == refused:
        return response
    response.close()
    return call()
