"""Workload identity: an identity token of this job or machine, exchanged for a short-lived access token.

https://cloud.google.com/iam/docs/workload-identity-federation-with-deployment-pipelines
"""

import base64
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from gar_publish.auth.exchange import MALFORMED, Exchange, new_token, no_token
from gar_publish.auth.http_auth import bearer
from gar_publish.auth.refusals import project_of
from gar_publish.auth.tokens import PUBLISH_SCOPE, Token
from gar_publish.errors import CredentialsFailure, Failure
from gar_publish.settings.credential import Federation, jobs_of
from gar_publish.threads import in_background
from gar_publish.urls import refuse_plain_http

if TYPE_CHECKING:
    from concurrent.futures import Future

_SUBJECT_SECONDS = 10.0
"""Long enough for the publishing and the read-only token; each later token gets a new identity token, and so its whole
life."""
_SHOWN_CLAIMS = ("repository", "repository_owner", "ref", "sub", "environment", "event_name")


class JobIdentity:
    """Exchanges the identity token of a GitHub job for access tokens.

    The first identity token is asked for at once, in the background. Each serves the exchanges of ten seconds. After a
    refusal, a new one is tried once.
    """

    def __init__(self, federation: Federation, exchange: Exchange) -> None:
        endpoints, account = exchange.context.endpoints, federation.service_account
        self._federation = federation
        self._exchange = replace(exchange, names=names(federation.provider, account))
        self._account = {
            "audience": f"//iam.googleapis.com/{federation.provider}",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": endpoints.sts,
            "service_account_impersonation_url": endpoints.impersonation(account) if account else None,
        }
        self._lock = threading.Lock()
        self._failed: Future[str] | None = None
        self._renew()

    def fetch(self, scope: str) -> Token:
        """Return a new access token: of the service account, if one is set.

        Raises:
            CredentialsFailure: GitHub, STS or IAM Credentials refuses.
            Unreachable: One of them does not answer.
        """
        subject = self._current(refused=None)
        try:
            return self._exchanged(subject, scope)
        except Failure as failure:
            if subject.exception():
                self._failed = subject
            if subject.exception() or not isinstance(failure, CredentialsFailure):
                raise
        return self._exchanged(self._current(refused=subject), scope)

    def _exchanged(self, subject: "Future[str]", scope: str) -> Token:
        return exchange_subject(self._account, subject.result(), self._exchange, scope)

    def _current(self, refused: "Future[str] | None") -> "Future[str]":
        with self._lock:
            age = self._exchange.context.retry_policy.clock() - self._asked_at
            if age > _SUBJECT_SECONDS or self._subject in {refused, self._failed}:
                self._renew()
            return self._subject

    def _renew(self) -> None:
        self._subject = in_background(lambda: subject_token(self._federation, self._exchange))
        self._asked_at = self._exchange.context.retry_policy.clock()


def exchange_subject(account: Mapping[str, Any], subject: str, exchange: Exchange, scope: str) -> Token:
    """Return the access token for a subject token (RFC 8693). google-auth would import cryptography for that.

    Args:
        account: An external account, as in a credentials file (https://google.aip.dev/auth/4117).
        subject: The subject token.
        exchange: Its names get the claims of the subject token.
        scope: The scope to ask for.

    Raises:
        CredentialsFailure: STS or IAM Credentials refuses.
        Unreachable: One of them does not answer.
    """
    _add_claims(subject, exchange)
    impersonation = account.get("service_account_impersonation_url")
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "audience": account["audience"],
        "scope": PUBLISH_SCOPE if impersonation else scope,
        "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "subject_token": subject,
        "subject_token_type": account["subject_token_type"],
    }
    client = (account["client_id"], account["client_secret"]) if "client_id" in account else None
    if not client and (project := account.get("workforce_pool_user_project")):
        form["options"] = quote(json.dumps({"userProject": project}))
    answer = exchange.json("POST", account["token_url"], data=form, auth=client)
    try:
        token = new_token(answer["access_token"], datetime.now(UTC) + timedelta(seconds=int(answer["expires_in"])))
    except MALFORMED:
        raise no_token() from None
    if not impersonation:
        return replace(token, federated=True)
    lifetime = (account.get("service_account_impersonation") or {}).get("token_lifetime_seconds")
    return impersonate(token, impersonation, exchange, scope, lifetime=lifetime)


def impersonate(
    token: Token,
    url: str,
    exchange: Exchange,
    scope: str,
    *,
    delegates: Sequence[str] | None = None,
    lifetime: int | None = None,
) -> Token:
    """Return an access token of a service account, for a token that may impersonate it.

    https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken

    Raises:
        CredentialsFailure: IAM Credentials refuses.
        Unreachable: It does not answer.
    """
    body = {"scope": [scope], "delegates": delegates, "lifetime": f"{lifetime}s" if lifetime else None}
    answer = exchange.json(
        "POST",
        url,
        json={name: value for name, value in body.items() if value},
        headers=bearer(token),
    )
    try:
        return new_token(answer["accessToken"], datetime.fromisoformat(answer["expireTime"]))
    except MALFORMED:
        raise no_token() from None


def _add_claims(token: str, exchange: Exchange) -> None:
    """Let failures show what a subject token says."""
    claims, known = unverified_claims(token), exchange.names
    known["claims"] = ", ".join(f"{name}={claims[name]}" for name in _SHOWN_CLAIMS if name in claims)
    known["issuer"] = str(claims.get("iss", "ISSUER"))
    known["owner_id"] = str(claims.get("repository_owner_id", "OWNER_ID"))
    if "repository" in claims:
        known["member"] = jobs_of(
            known["pool"], str(claims["repository"]), str(claims.get("repository_id", "REPOSITORY_ID"))
        )


def subject_token(federation: Federation, exchange: Exchange) -> str:
    """Return the job's identity token (https://docs.github.com/en/actions/reference/security/oidc).

    Raises:
        CredentialsFailure: GitHub issues none.
        Unreachable: It does not answer.
    """
    refuse_plain_http(federation.request_url, exchange.context.endpoints.emulator)
    try:
        answer = exchange.json(
            "GET",
            federation.request_url,
            params={"audience": f"https://iam.googleapis.com/{federation.provider}"},
            headers={"Authorization": f"Bearer {federation.request_token}", "Accept": "application/json"},
        )
    except CredentialsFailure as refused:
        if _has_expired(federation.request_token):
            raise refused.because(
                cause="the token in ACTIONS_ID_TOKEN_REQUEST_TOKEN has expired: it is valid for one job, while it runs",
                fix="run the job again; do not store this variable for later",
                anchor="id-token-permission",
            ) from None
        raise
    token = answer.get("value")
    if not isinstance(token, str) or not token:
        raise CredentialsFailure(
            "GitHub's answer contains no identity token.",
            cause="the job lacks the permission `id-token: write`, or another server answers at "
            "ACTIONS_ID_TOKEN_REQUEST_URL",
            fix="add these permissions to the job\n    permissions:\n      contents: read\n      id-token: write",
            anchor="id-token-permission",
        )
    return token


def unverified_claims(token: str) -> Mapping[str, Any]:
    """Return the claims of a JWT (RFC 7519), for messages only; none if it cannot be read."""
    try:
        body = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (IndexError, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _has_expired(token: str) -> bool:
    """Return whether a JWT says that it has expired."""
    expires = unverified_claims(token).get("exp")
    return isinstance(expires, int) and expires <= datetime.now(UTC).timestamp()


def names(provider: str, account: str | None) -> dict[str, str]:
    """Return the names in messages of failures of a provider."""
    pool = provider.partition("/providers/")[0]
    return {
        "provider": provider,
        "number": pool.partition("projects/")[2].partition("/")[0],
        "pool": pool,
        "audience": f"https://iam.googleapis.com/{provider}",
        "service_account": account or "ACCOUNT",
        "project": project_of(account or ""),
        "role": "roles/iam.workloadIdentityUser",
        "member": jobs_of(pool, "OWNER/REPOSITORY", "REPOSITORY_ID"),
    }
