"""Why an identity is refused, judged from its claims and from what IAM holds, where that can be seen.

What publishing says stands where nothing better is known.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from gar_publish.credentials.explain import project_of
from gar_publish.doctor import attributes
from gar_publish.doctor.case import Case
from gar_publish.doctor.mending import mended, quoted
from gar_publish.errors import Failure
from gar_publish.identity import Federation, Key

IMPERSONATORS = frozenset({"roles/iam.workloadIdentityUser", "roles/iam.serviceAccountTokenCreator"})
"""https://cloud.google.com/iam/docs/service-account-permissions"""

_PROVIDERS = "gcloud iam workload-identity-pools providers"
_POOLS = "gcloud iam workload-identity-pools"
_DEFAULT_MAPPING = {
    "google.subject": "assertion.repository_id",
    "attribute.repository": "assertion.repository",
    "attribute.repository_id": "assertion.repository_id",
    "attribute.repository_owner_id": "assertion.repository_owner_id",
}


def exchange(failure: Failure, case: Case, credential: Federation) -> Failure:
    """Why Google's token service refuses."""
    provider = case.onlooker.provider(credential.provider)
    match failure.anchor:
        case "provider-missing":
            return _missing(failure, case, credential, provider)
        case "attribute-condition" | "immutable-subject":
            return _condition(failure, case, credential, provider) if provider else failure
        case "audience" if provider:
            listed = [*_oidc(provider).get("allowedAudiences", []), f"https://iam.googleapis.com/{credential.provider}"]
            return mended(
                failure,
                cause=failure.cause,
                fix="put it on the list\n"
                f"  {_PROVIDERS} update-oidc {credential.provider} --allowed-audiences={quoted(','.join(listed))}",
                anchor="audience",
            )
        case "subject-too-long" if provider:
            return mended(
                failure,
                cause=f"google.subject is mapped from {_mapping(provider).get('google.subject')}, which is too long "
                "for this job; Google takes 127 bytes",
                fix="map something short instead; bindings to the old subject have to be made anew\n"
                + _map(credential, {**_mapping(provider), "google.subject": "assertion.repository_id"}),
                anchor="subject-too-long",
            )
    return failure


def _missing(failure: Failure, case: Case, credential: Federation, provider: Mapping[str, Any] | None) -> Failure:
    pool_name, _, id_ = credential.provider.partition("/providers/")
    number, pool_id = pool_name.split("/")[1], pool_name.rpartition("/")[2]
    pool = case.onlooker.pool(pool_name)
    parts = (("pool", _POOLS, pool_name, pool), ("provider", _PROVIDERS, credential.provider, provider))
    for what, group, name, found in parts:
        if found and found.get("state") == "DELETED":
            return mended(
                failure,
                cause=f"the {what} {name.rpartition('/')[2]} was deleted; for 30 days it can be brought back",
                fix=f"bring it back\n  {group} undelete {name}",
                anchor="provider-missing",
            )
        if found and found.get("disabled"):
            verb = "update-oidc" if what == "provider" else "update"
            return mended(
                failure,
                cause=f"the {what} {name.rpartition('/')[2]} is disabled",
                fix=f"switch it on again\n  {group} {verb} {name} --no-disabled",
                anchor="provider-missing",
            )
    if pool is None:
        return _another_project(failure, case, credential, number, pool_id)
    if provider is None and (near := _nearest(id_, case.onlooker.providers(pool_name))):
        return mended(
            failure,
            cause=f"the pool {pool_id} has no provider {id_}, but one that is called {near}",
            fix=f"give its name\n  workload-identity-provider: {pool_name}/providers/{near}",
            anchor="provider-missing",
        )
    return failure


def _another_project(failure: Failure, case: Case, credential: Federation, number: str, pool_id: str) -> Failure:
    """The pool is not in the project that the name says; perhaps in that of the repository or of the account."""
    account = credential.service_account or ""
    for project in dict.fromkeys([case.target.project or "", project_of(account) if account else ""]):
        right = case.onlooker.project_number(project) if project else None
        if not right:
            continue
        if right != number and case.onlooker.provider(named := credential.provider.replace(number, right, 1)):
            return mended(
                failure,
                cause=f"{number} is another project's number; the provider is in {project}, whose number is {right}",
                fix=f"give its number\n  workload-identity-provider: {named}",
                anchor="provider-missing",
            )
        if near := _nearest(pool_id, case.onlooker.pools(right)):
            name = credential.provider.replace(number, right, 1).replace(f"Pools/{pool_id}/", f"Pools/{near}/")
            return mended(
                failure,
                cause=f"{project} has no pool {pool_id}, but one that is called {near}",
                fix=f"give its name\n  workload-identity-provider: {name}",
                anchor="provider-missing",
            )
    return failure


def _condition(failure: Failure, case: Case, credential: Federation, provider: Mapping[str, Any]) -> Failure:
    condition = str(provider.get("attributeCondition", ""))
    found = attributes.mismatch(condition, _mapping(provider), case.claims)
    if found is None:
        return failure
    differs = f"the condition wants {found.claim} == '{found.wanted}', and the token says '{found.found}'"
    update = f"{_PROVIDERS} update-oidc {credential.provider} --attribute-condition={quoted(found.condition)}"
    match found.why:
        case "letter case":
            return mended(
                failure,
                cause=f"{differs}: capitals and small letters are not the same there",
                fix=f"write it as GitHub does\n  {update}",
                anchor="attribute-condition",
            )
        case "immutable subject":
            return mended(
                failure,
                cause=f"{differs}: it holds ids, as in repositories made or renamed since 2026-07-15",
                fix=f"compare with what it is now, or better with ids alone\n  {update}",
                anchor="immutable-subject",
            )
        case "another run":
            return mended(
                failure,
                cause=f"{differs}: the condition keeps out such runs",
                fix=f"run it where {found.claim} is {found.wanted}; if runs like this one are to publish too, change "
                f"the condition: {condition}",
                anchor="attribute-condition",
            )
        case _:
            return mended(
                failure,
                cause=f"{differs}: the condition lets in other repositories",
                fix=f"if this repository is to publish too, let it in\n  {update}",
                anchor="attribute-condition",
            )


def impersonation(failure: Failure, case: Case, credential: Federation) -> Failure:
    """Why IAM does not let the identity act as the account."""
    account = credential.service_account or ""
    project = project_of(account)
    if failure.anchor not in {"impersonation-denied", "immutable-subject", "account-missing"}:
        return failure
    known = case.onlooker.account(project, account)
    accounts = case.onlooker.accounts(project) if known is None else []
    if accounts and account not in accounts:
        near = _nearest(account, accounts)
        return mended(
            failure,
            cause=f"there is no account {account}" + (f", but one that is called {near}" if near else ""),
            fix=f"give its name\n  service-account: {near}"
            if near
            else "create it, or give another\n"
            f"  gcloud iam service-accounts create {account.partition('@')[0]} --project={project}",
            anchor="account-missing",
        )
    if known and known.get("disabled"):
        return _switched_off(failure, account, project)
    provider = case.onlooker.provider(credential.provider)
    holders = case.onlooker.members(project, account, IMPERSONATORS)
    if provider is None or holders is None:
        return failure
    return _binding(failure, case, credential, _mapping(provider), holders)


def _binding(
    failure: Failure, case: Case, credential: Federation, mapping: Mapping[str, str], holders: list[str]
) -> Failure:
    """What is wrong with the bindings that are there; nobody of `holders` is this job."""
    account = credential.service_account or ""
    pool = credential.provider.partition("/providers/")[0]
    ours = attributes.members(pool, attributes.mapped(mapping, case.claims))
    if not ours:
        return failure
    base = f"principalSet://iam.googleapis.com/{pool}/"
    command = (
        f"gcloud iam service-accounts add-iam-policy-binding {account} --project={project_of(account)} "
        f"--role=roles/iam.workloadIdentityUser --member={quoted(next(iter(ours.values())))}"
    )
    for holder in holders:
        name, _, value = holder.removeprefix(base).partition("/")
        claim = name.removeprefix("attribute.")
        if holder.startswith(f"{base}attribute.") and name not in mapping and str(case.claims.get(claim)) == value:
            return mended(
                failure,
                cause=f"the account is bound to {name}, which the provider does not map, so nobody has it",
                fix="map it\n" + _map(credential, {**mapping, name: f"assertion.{claim}"}),
                anchor="impersonation-denied",
            )
        if holder.lower() in {each.lower() for each in ours.values()}:
            return mended(
                failure,
                cause=f"the account is bound to {holder}, and GitHub writes that with other capitals",
                fix=f"bind it as GitHub writes it\n  {command}",
                anchor="impersonation-denied",
            )
        subject = ours.get("google.subject", "")
        if subject != attributes.old_subject(subject) == holder:
            return mended(
                failure,
                cause=f"the account is bound to {holder}; the subject of this job holds ids, as in repositories made "
                "or renamed since 2026-07-15",
                fix=f"bind what lasts\n  {command}",
                anchor="immutable-subject",
            )
    bound = f"it is bound to {', '.join(holders)}" if holders else "nobody is bound to it"
    return mended(
        failure,
        cause=f"the identity lacks roles/iam.workloadIdentityUser on the account: {bound}",
        fix=f"let this repository's jobs act as it\n  {command}",
        anchor="impersonation-denied",
    )


def credential(failure: Failure, case: Case) -> Failure:
    """Why a key, or another kind of credential, is refused."""
    if not isinstance(case.credential, Key):
        return failure
    account = str(case.credential.info["client_email"])
    project = project_of(account)
    known = case.onlooker.account(project, account)
    if failure.anchor == "account-disabled" and known and known.get("disabled"):
        return _switched_off(failure, account, project)
    id_ = str(case.credential.info.get("client_id"))
    if failure.anchor == "account-missing" and id_.isdecimal():
        return mended(
            failure,
            cause=f"the account {account} was deleted; for 30 days it can be brought back by its number",
            fix=f"bring it back\n  gcloud iam service-accounts undelete {id_} --project={project}",
            anchor="account-missing",
        )
    return failure


def _switched_off(failure: Failure, account: str, project: str) -> Failure:
    return mended(
        failure,
        cause=f"the account {account} is switched off",
        fix=f"ask why, then switch it on again\n  gcloud iam service-accounts enable {account} --project={project}",
        anchor="account-disabled",
    )


def _map(credential: Federation, mapping: Mapping[str, str]) -> str:
    pairs = [f"{name}={expression}" for name, expression in mapping.items()]
    # gcloud splits at commas, which calls of CEL hold as well, unless it is told otherwise: `gcloud topic escaping`.
    listed = "^~^" + "~".join(pairs) if "," in "".join(pairs) else ",".join(pairs)
    return f"  {_PROVIDERS} update-oidc {credential.provider} --attribute-mapping={quoted(listed)}"


def _mapping(provider: Mapping[str, Any]) -> dict[str, str]:
    found = provider.get("attributeMapping")
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def _oidc(provider: Mapping[str, Any]) -> Mapping[str, Any]:
    found = provider.get("oidc")
    return found if isinstance(found, dict) else {}


def _nearest(name: str, known: list[str]) -> str | None:
    """The one that is meant: the nearest, or the only one."""
    return next(iter(get_close_matches(name, known, n=1, cutoff=0.6)), known[0] if len(known) == 1 else None)
