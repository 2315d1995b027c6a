"""The links that prove who publishes: identity token, exchange and impersonation, or any other kind of credential."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import requests

from gar_publish.auth import workload_identity
from gar_publish.auth.exchange import Exchange
from gar_publish.auth.tokens import Token
from gar_publish.console import rfc3339
from gar_publish.doctor import why_exchange, why_impersonation
from gar_publish.doctor.case import Case, NotChecked
from gar_publish.doctor.principal import attached_account
from gar_publish.errors import CredentialsFailure
from gar_publish.registry.google_api import said
from gar_publish.settings.credential import Ambient, Federation, GivenToken, Key

CLAIMS = (
    *("iss", "sub", "aud", "repository", "repository_id", "repository_owner", "repository_owner_id"),
    *("ref", "environment", "event_name", "job_workflow_ref"),
)
_SUBJECT_LIMIT = 127


def check_subject_token(case: Case, facts: list[str]) -> None:
    """Whether GitHub vouches for this job, and in which words.

    Raises:
        CredentialsFailure: It does not.
        Unreachable: It does not answer.
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
        facts.append(f"sub has {size} bytes; mapped to google.subject, Google takes {_SUBJECT_LIMIT}")
    if (end := _moment(case.claims.get("exp"))) is not None:
        facts.append(f"ends at {rfc3339(end)}")


def check_exchange(case: Case, facts: list[str]) -> None:
    """Whether Google's token service takes that for an identity.

    Raises:
        CredentialsFailure: It does not.
        Unreachable: It does not answer.
    """
    credential = _federation(case)
    source = case.open_source(replace(credential, service_account=None))
    try:
        facts.append(f"the provider is {credential.provider}")
        facts.append(_life(source.token()))
    except CredentialsFailure as failure:
        raise why_exchange.exchange(failure, case, credential) from None
    if not credential.service_account:
        case.source = source


def check_impersonation(case: Case, facts: list[str]) -> None:
    """Whether that identity may act as the account.

    Raises:
        CredentialsFailure: It may not.
        Unreachable: IAM does not answer.
    """
    credential = _federation(case)
    if not credential.service_account:
        raise NotChecked("`service-account` is not set: the federated identity is used directly")
    source = case.open_source(credential)
    try:
        facts.append(f"acts as {credential.service_account}")
        facts.append(_life(source.token()))
    except CredentialsFailure as failure:
        raise why_impersonation.impersonation(failure, case, credential) from None
    case.source = source


def check_credential(case: Case, facts: list[str]) -> None:
    """Whether any other kind of credential gives a token that Google knows.

    Raises:
        CredentialsFailure: It does not.
        Unreachable: A server that is needed for it does not answer.
    """
    if case.credential is None:
        raise NotChecked("there is none to check")
    try:
        source = case.open_source(case.credential)
        facts.append(source.kind)
        if isinstance(case.credential, Key):
            facts.append(f"acts as {case.credential.info['client_email']}")
        token = source.token()
    except CredentialsFailure as failure:
        raise why_impersonation.credential(failure, case) from None
    case.source = source
    if isinstance(case.credential, GivenToken):
        _check_given(case, facts)
    else:
        facts.append(_life(token))
    if isinstance(case.credential, Ambient) and (account := attached_account(case)):
        facts.append(f"acts as {account}")


def _check_given(case: Case, facts: list[str]) -> None:
    """Ask something as whoever the token speaks for: nobody but Google knows when it ends.

    Raises:
        CredentialsFailure: Google does not know the token.
    """
    if not case.target.resource:
        raise NotChecked("the token was made elsewhere; the index will tell whether it is good")
    url = f"{case.context.endpoints.artifact_registry}/{case.target.resource}"
    answer = case.api().call("GET", url, what=f"ask for {case.target}")
    if answer.status_code == requests.codes.unauthorized:
        raise CredentialsFailure(
            "Google does not know the token that was given as `access-token` (401).",
            cause="it has ended: a token lives for an hour at most; or it was cut off, or is another service's",
            fix="make it right before it is needed\n  gcloud auth print-access-token",
            anchor="registry-401",
            detail=said(answer),
        )
    facts.append("Google knows it; when it ends, nobody says")


def _federation(case: Case) -> Federation:
    if not isinstance(case.credential, Federation):
        raise NotChecked("no workload identity is asked for")
    return case.credential


def _life(token: Token) -> str:
    return f"a token until {rfc3339(token.expires_at)}" if token.expires_at else "a token"


def _moment(seconds: Any) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
