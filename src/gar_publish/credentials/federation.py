"""Workload identity: somebody vouches for this job, and Google gives a short-lived token for that.

https://cloud.google.com/iam/docs/workload-identity-federation-with-deployment-pipelines
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from gar_publish.credentials.exchange import Exchange, refresh
from gar_publish.credentials.explain import project_of
from gar_publish.credentials.source import Token
from gar_publish.errors import CredentialsFailure
from gar_publish.http import refuse_plain_http
from gar_publish.identity import Federation

_SHOWN_CLAIMS = ("repository", "repository_owner", "ref", "sub", "environment", "event_name")


def fetch(federation: Federation, exchange: Exchange, scope: str) -> Token:
    """Exchange a fresh identity token of the job for an access token: of the service account, if one is set.

    Raises:
        CredentialsFailure: GitHub, STS or IAM Credentials refuses.
        Unreachable: One of them does not answer.
    """
    account = federation.service_account
    info = {
        "audience": f"//iam.googleapis.com/{federation.provider}",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": exchange.endpoints.sts,
        "service_account_impersonation_url": exchange.endpoints.impersonation(account) if account else None,
    }
    exchange = replace(exchange, names=names(federation.provider, account))
    return refresh(
        credentials(info, lambda: _ask_github(federation, exchange), exchange, scope),
        exchange,
    )


def credentials(info: Mapping[str, Any], subject: Callable[[], str], exchange: Exchange, scope: str) -> Any:
    """google-auth's credentials of an external account.

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
        token = self.subject()
        self.exchange.console.mask(token)
        claims = unverified_claims(token)
        known = self.exchange.names
        known["claims"] = ", ".join(f"{name}={claims[name]}" for name in _SHOWN_CLAIMS if name in claims)
        known["issuer"] = str(claims.get("iss", "ISSUER"))
        known["member"] = known["member"].replace("OWNER/REPOSITORY", str(claims.get("repository", "OWNER/REPOSITORY")))
        return token


def _ask_github(federation: Federation, exchange: Exchange) -> str:
    """The job's identity token (https://docs.github.com/en/actions/reference/security/oidc)."""
    refuse_plain_http(federation.request_url, exchange.endpoints.emulator)
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
        "pool_id": pool.rpartition("/")[2],
        "audience": f"https://iam.googleapis.com/{provider}",
        "service_account": account or "ACCOUNT",
        "project": project_of(account or ""),
        "role": "roles/iam.workloadIdentityUser",
        "member": f"principalSet://iam.googleapis.com/{pool}/attribute.repository/OWNER/REPOSITORY",
    }
