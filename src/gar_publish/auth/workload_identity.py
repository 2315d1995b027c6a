"""Workload identity: somebody vouches for this job, and Google gives a short-lived token for that.

https://cloud.google.com/iam/docs/workload-identity-federation-with-deployment-pipelines
"""

import base64
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from gar_publish.auth.exchange import Exchange, new_token, understood
from gar_publish.auth.refusals import project_of
from gar_publish.auth.tokens import PUBLISH_SCOPE, Token
from gar_publish.errors import CredentialsFailure
from gar_publish.settings.credential import Federation
from gar_publish.threads import in_background
from gar_publish.urls import refuse_plain_http

if TYPE_CHECKING:
    from concurrent.futures import Future

_SUBJECT_SERVES = 60.0
_SHOWN_CLAIMS = ("repository", "repository_owner", "ref", "sub", "environment", "event_name")


class Federated:
    """Exchanges the job's identity for access tokens: of the service account, if one is set.

    The first identity token is asked for at once, since importing google-auth takes as long. One serves for all
    exchanges of a minute, as one in a file does for those of an hour
    (https://cloud.google.com/iam/docs/workload-identity-federation-with-kubernetes). Where an exchange is refused, a
    new one is tried.
    """

    def __init__(self, federation: Federation, exchange: Exchange) -> None:
        self._federation = federation
        self._exchange = replace(exchange, names=names(federation.provider, federation.service_account))
        self._lock = threading.Lock()
        self._asked, self._asked_at = self._ask(), exchange.context.retry_policy.clock()

    def fetch(self, scope: str) -> Token:
        """Get an access token.

        Raises:
            CredentialsFailure: GitHub, STS or IAM Credentials refuses.
            Unreachable: One of them does not answer.
        """
        asked = self._current()
        try:
            return self._exchanged(asked, scope)
        except CredentialsFailure:
            if asked.exception():
                raise
        return self._exchanged(self._another(asked), scope)

    def _current(self) -> "Future[str]":
        with self._lock:
            failed = self._asked.done() and self._asked.exception() is not None
            if failed or self._exchange.context.retry_policy.clock() - self._asked_at > _SUBJECT_SERVES:
                self._renew()
            return self._asked

    def _another(self, refused: "Future[str]") -> "Future[str]":
        with self._lock:
            if self._asked is refused:
                self._renew()
            return self._asked

    def _exchanged(self, asked: "Future[str]", scope: str) -> Token:
        account, subject = self._federation.service_account, _heard(asked.result(), self._exchange)
        with understood():
            if account:
                return self._impersonated(self._federated(subject, PUBLISH_SCOPE), account, scope)
            return self._federated(subject, scope)

    def _federated(self, subject: str, scope: str) -> Token:
        """RFC 8693. google-auth's own credentials import cryptography, which takes longer than the exchange."""
        from google.oauth2.sts import Client  # slow to import as well

        answer = Client(self._exchange.context.endpoints.sts).exchange_token(
            self._exchange,
            grant_type="urn:ietf:params:oauth:grant-type:token-exchange",
            audience=f"//iam.googleapis.com/{self._federation.provider}",
            scopes=[scope],
            requested_token_type="urn:ietf:params:oauth:token-type:access_token",  # noqa: S106 - no password
            subject_token=subject,
            subject_token_type="urn:ietf:params:oauth:token-type:jwt",  # noqa: S106 - the same
        )
        lifetime = timedelta(seconds=int(answer["expires_in"]))
        return new_token(answer["access_token"], datetime.now(UTC) + lifetime)

    def _impersonated(self, federated: Token, account: str, scope: str) -> Token:
        """https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken"""
        answer = self._exchange(
            self._exchange.context.endpoints.impersonation(account),
            "POST",
            json.dumps({"scope": [scope]}).encode(),
            {"Authorization": f"Bearer {federated.value}", "Content-Type": "application/json"},
        )
        said = json.loads(answer.data)
        return new_token(said["accessToken"], datetime.fromisoformat(said["expireTime"]))

    def _renew(self) -> None:
        self._asked, self._asked_at = self._ask(), self._exchange.context.retry_policy.clock()

    def _ask(self) -> "Future[str]":
        return in_background(lambda: subject_token(self._federation, self._exchange))


def credentials(info: Mapping[str, Any], subject: Callable[[], str], exchange: Exchange, scope: str) -> Any:
    """google-auth's credentials of an external account that a file describes.

    Args:
        info: Its configuration, as in a credentials file, but for the `credential_source`.
        subject: Gets a fresh subject token.
        exchange: Learns what the subject token says, for failures.
        scope: The scope to ask for.
    """
    from google.auth import identity_pool  # slow to import

    return identity_pool.Credentials.from_info(
        {**info, "credential_source": None},
        subject_token_supplier=_Supplier(subject, exchange),
        scopes=[scope],
    )


@dataclass(frozen=True)
class _Supplier:
    """Supplies subject tokens to google-auth (`google.auth.identity_pool.SubjectTokenSupplier`)."""

    subject: Callable[[], str]
    exchange: Exchange

    def get_subject_token(self, _context: Any, _request: Any) -> str:
        return _heard(self.subject(), self.exchange)


def _heard(token: str, exchange: Exchange) -> str:
    """A subject token, whose claims failures may tell from now on, and which no log will show."""
    exchange.context.console.mask(token)
    claims, known = unverified_claims(token), exchange.names
    known["claims"] = ", ".join(f"{name}={claims[name]}" for name in _SHOWN_CLAIMS if name in claims)
    known["issuer"] = str(claims.get("iss", "ISSUER"))
    known["owner_id"] = str(claims.get("repository_owner_id", "OWNER_ID"))
    known["member"] = known["member"].replace("OWNER/REPOSITORY", str(claims.get("repository", "OWNER/REPOSITORY")))
    return token


def subject_token(federation: Federation, exchange: Exchange) -> str:
    """The job's identity token (https://docs.github.com/en/actions/reference/security/oidc).

    Raises:
        CredentialsFailure: GitHub gives none.
        Unreachable: It does not answer.
    """
    refuse_plain_http(federation.request_url, exchange.context.endpoints.emulator)
    answer = exchange.get_json(
        with_audience(federation.request_url, f"https://iam.googleapis.com/{federation.provider}"),
        headers={"Authorization": f"Bearer {federation.request_token}", "Accept": "application/json"},
    )
    token = answer.get("value")
    if not isinstance(token, str) or not token:
        raise CredentialsFailure(
            "GitHub answered, but not with an identity token.",
            cause="the job lacks the permission `id-token: write`, or something else answers at "
            "ACTIONS_ID_TOKEN_REQUEST_URL",
            fix="add to the job\n    permissions:\n      contents: read\n      id-token: write",
            anchor="id-token-permission",
        )
    return token


def with_audience(url: str, audience: str) -> str:
    """The runner's URL with `audience` in its query, which holds other fields already."""
    parts = urlsplit(url)
    query = [*parse_qsl(parts.query, keep_blank_values=True), ("audience", audience)]
    return urlunsplit(parts._replace(query=urlencode(query)))


def unverified_claims(token: str) -> Mapping[str, Any]:
    """What a JWT says (RFC 7519), for messages alone; nothing where it cannot be read."""
    try:
        body = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (IndexError, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def names(provider: str, account: str | None) -> dict[str, str]:
    """What failures of a provider name."""
    pool = provider.partition("/providers/")[0]
    return {
        "provider": provider,
        "number": pool.partition("projects/")[2].partition("/")[0],
        "pool": pool,
        "audience": f"https://iam.googleapis.com/{provider}",
        "service_account": account or "ACCOUNT",
        "project": project_of(account or ""),
        "role": "roles/iam.workloadIdentityUser",
        "member": f"principalSet://iam.googleapis.com/{pool}/attribute.repository/OWNER/REPOSITORY",
    }
