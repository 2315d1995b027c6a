"""The metadata server of Compute Engine, GKE, Cloud Run and Cloud Build: a token for the attached account.

https://cloud.google.com/compute/docs/access/authenticate-workloads
"""

import errno
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import requests

from gar_publish.auth.exchange import Exchange
from gar_publish.auth.tokens import FreshSource, Token
from gar_publish.context import Context
from gar_publish.errors import CredentialsFailure, Failure
from gar_publish.settings.endpoints import Endpoints
from gar_publish.transport.retry import with_retries
from gar_publish.transport.session import is_success

KIND = "metadata server"
HEADERS = {"Metadata-Flavor": "Google"}
NO_PROXY: dict[str, Any] = {"http": None, "all": None}
_ACCOUNT_PATH = "computeMetadata/v1/instance/service-accounts/default/email"
_PING_TIMEOUTS = (1.5, 1.0)
"""Seconds for a connection, and for an answer. A lost SYN is sent again after a second (RFC 6298, section 2.1)."""
_UNREACHABLE = {errno.ENETUNREACH, errno.EHOSTUNREACH, getattr(errno, "EHOSTDOWN", None)}
_LONGEST_LIFE = 7 * 86400
"""Seconds; no token is valid as long."""


class _NoServer(Exception):
    """The metadata server's address is not reachable."""


class MetadataSource(FreshSource):
    """The attached account's tokens."""

    def read_only(self) -> FreshSource | None:
        """Return None if the server ignores scopes, and gives its cached token again."""
        narrow = super().read_only()
        return narrow if narrow and narrow.token().value != self.token().value else None


def find(exchange: Exchange) -> str | None:
    """Return the metadata server's base URL; None if there is no server, which takes some seconds at most.

    `NO_GCE_CHECK=true` says that there is none, and `GCE_METADATA_HOST` names another one.
    """
    environment = exchange.context.environment
    if environment.get("NO_GCE_CHECK", "").lower() == "true":
        return None
    base = address(exchange.context.endpoints, environment)
    is_there = False

    def ping() -> requests.Response:
        nonlocal is_there
        try:
            answer = exchange.session.get(
                f"{base}/", headers=HEADERS, proxies=NO_PROXY, timeout=_PING_TIMEOUTS, allow_redirects=False
            )
        except requests.ConnectionError as error:
            if isinstance(error, requests.ConnectTimeout) or _errno(error) in _UNREACHABLE:
                raise _NoServer from None
            raise
        is_there = is_there or answer.headers.get("Metadata-Flavor") == "Google"
        return answer

    with suppress(_NoServer, Failure):
        policy = exchange.context.retry_policy.for_metadata_server()
        with_retries(ping, replace(exchange.context, retry_policy=policy), "look for a metadata server")
    return base if is_there else None


def address(endpoints: Endpoints, environment: Mapping[str, str]) -> str:
    """Return the base URL that a metadata server would have."""
    return endpoints.emulator or f"http://{environment.get('GCE_METADATA_HOST') or '169.254.169.254'}"


def find_account(context: Context, session: requests.Session) -> str | None:
    """Return the address of the attached account, if the server tells it at once."""
    url = f"{address(context.endpoints, context.environment)}/{_ACCOUNT_PATH}"
    try:
        answer = session.get(url, headers=HEADERS, proxies=NO_PROXY, timeout=_PING_TIMEOUTS, allow_redirects=False)
    except requests.RequestException:
        return None
    return answer.text.strip() if is_success(answer) and "@" in answer.text else None


def _errno(error: requests.ConnectionError) -> int | None:
    """Return the number of the operating system's error that caused those of urllib3 and requests."""
    failed = getattr(error.args[0], "reason", None) if error.args else None
    cause = getattr(failed, "__cause__", None)
    return cause.errno if isinstance(cause, OSError) else None


def fetch(base: str, exchange: Exchange, scope: str) -> Token:
    """Return a new token of the default account.

    Raises:
        CredentialsFailure: No account is attached.
        Unreachable: The server does not answer.
    """
    asked_at = datetime.now(UTC)
    answer = exchange.json(
        "GET",
        f"{base}/computeMetadata/v1/instance/service-accounts/default/token?scopes={quote(scope, safe='')}",
        headers=HEADERS,
        proxies=NO_PROXY,
    )
    value, seconds = answer.get("access_token"), answer.get("expires_in")
    if not isinstance(value, str) or not isinstance(seconds, int) or not 0 < seconds < _LONGEST_LIFE:
        raise CredentialsFailure(
            "The metadata server returned no token.",
            cause="this machine has no service account",
            fix="attach a service account to this machine",
            anchor="metadata-account",
        )
    return Token(value, asked_at + timedelta(seconds=seconds))
