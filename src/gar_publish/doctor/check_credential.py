"""Checks the credential: identity token, exchange and impersonation, or any other kind."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import requests

from gar_publish.auth import workload_identity
from gar_publish.auth.exchange import Exchange
from gar_publish.auth.sources import open_source
from gar_publish.auth.tokens import Token
from gar_publish.console import rfc3339
from gar_publish.doctor import why_exchange, why_impersonation
from gar_publish.doctor.case import Case, NotChecked
from gar_publish.doctor.principal import find_attached_account
from gar_publish.errors import CredentialsFailure
from gar_publish.registry.google_api import said
from gar_publish.settings.credential import Ambient, Federation, GivenToken, Key

CLAIMS = (
    *("iss", "sub", "aud", "repository", "repository_id", "repository_owner", "repository_owner_id"),
    *("ref", "environment", "event_name", "job_workflow_ref"),
)
_SUBJECT_LIMIT = 127


def check_subject_token(case: Case, facts: list[str]) -> None:
    """Check that GitHub issues an identity token for this job.

    Raises:
        CredentialsFailure: GitHub issues none.
        Unreachable: GitHub does not answer.
    """
    credential = _federation(case)
    context = case.context
    names = workload_identity.names(credential.provider, credential.service_account)
    exchange = Exchange(context, case.session, names)
    context.console.mask(credential.request_token)
    token = workload_identity.subject_token(credential, exchange)
    context.console.mask(token)
    case.claims = workload_identity.unverified_claims(token)
    facts += [f"{name}: {case.claims[name]}" for name in CLAIMS if name in case.claims]
    size = len(str(case.claims.get("sub", "")).encode())
    if size > _SUBJECT_LIMIT:
        facts.append(f"sub has {size} bytes; mapped to google.subject, the limit is {_SUBJECT_LIMIT}")
    if (end := _moment(case.claims.get("exp"))) is not None:
        facts.append(f"expires at {rfc3339(end)}")


def check_exchange(case: Case, facts: list[str]) -> None:
    """Check that Google's token service accepts the identity token.

    Raises:
        CredentialsFailure: It is refused.
        Unreachable: The service does not answer.
    """
    credential = _federation(case)
    source = open_source(replace(credential, service_account=None), case.context, case.session)
    try:
        facts.append(f"the provider is {credential.provider}")
        facts.append(_life(source.token()))
    except CredentialsFailure as failure:
        raise why_exchange.explain_exchange(failure, case, credential) from None
    if not credential.service_account:
        case.source = source


def check_impersonation(case: Case, facts: list[str]) -> None:
    """Check that the identity may act as the service account.

    Raises:
        CredentialsFailure: It may not.
        Unreachable: IAM does not answer.
    """
    credential = _federation(case)
    if not credential.service_account:
        raise NotChecked("`service-account` is not set: the federated identity is used directly")
    source = open_source(credential, case.context, case.session)
    try:
        facts.append(f"acts as {credential.service_account}")
        facts.append(_life(source.token()))
    except CredentialsFailure as failure:
        raise why_impersonation.explain_impersonation(failure, case, credential) from None
    case.source = source


def check_credential(case: Case, facts: list[str]) -> None:
    """Check that any other kind of credential gives a token that Google accepts.

    Raises:
        CredentialsFailure: It is refused.
        Unreachable: A server does not answer.
    """
    if case.credential is None:
        raise NotChecked("there is no credential")
    try:
        source = open_source(case.credential, case.context, case.session)
        facts.append(source.kind)
        if isinstance(case.credential, Key):
            facts.append(f"acts as {case.credential.info['client_email']}")
        token = source.token()
    except CredentialsFailure as failure:
        raise why_impersonation.explain_credential(failure, case) from None
    case.source = source
    if isinstance(case.credential, GivenToken):
        _check_given(case, facts)
    else:
        facts.append(_life(token))
    if isinstance(case.credential, Ambient) and (account := find_attached_account(case)):
        facts.append(f"acts as {account}")


def _check_given(case: Case, facts: list[str]) -> None:
    """Use the token once: only Google knows whether it has expired.

    Raises:
        CredentialsFailure: Google does not accept the token.
    """
    if not case.target.resource:
        raise NotChecked("the token is checked with the index")
    url = f"{case.context.endpoints.artifact_registry}/{case.target.resource}"
    answer = case.api().call("GET", url, what=f"ask for {case.target}")
    if answer.status_code == requests.codes.unauthorized:
        raise CredentialsFailure(
            "Google does not accept the token in `access-token` (HTTP 401).",
            cause="the token has expired, is truncated, or was issued for another service",
            fix="create a new token right before the run\n  gcloud auth print-access-token",
            anchor="registry-401",
            detail=said(answer),
        )
    facts.append("Google accepts it; its expiry is not known")


def _federation(case: Case) -> Federation:
    if not isinstance(case.credential, Federation):
        raise NotChecked("workload identity is not used")
    return case.credential


def _life(token: Token) -> str:
    return f"token received, expires at {rfc3339(token.expires_at)}" if token.expires_at else "token received"


def _moment(seconds: Any) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
