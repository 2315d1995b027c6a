"""Why an account cannot be acted as, judged from the job's claims and from what IAM holds of it.

What publishing says stands where nothing better is known.
"""

from collections.abc import Mapping

from gar_publish.auth.refusals import project_of
from gar_publish.doctor import conditions
from gar_publish.doctor.case import Case
from gar_publish.doctor.mending import mended, quoted
from gar_publish.doctor.why_exchange import to_map
from gar_publish.doctor.why_name import nearest
from gar_publish.errors import Failure
from gar_publish.settings.credential import Federation, Key

IMPERSONATORS = frozenset({"roles/iam.workloadIdentityUser", "roles/iam.serviceAccountTokenCreator"})
"""https://cloud.google.com/iam/docs/service-account-permissions"""


def impersonation(failure: Failure, case: Case, credential: Federation) -> Failure:
    """Why IAM does not let the identity act as the account."""
    account = credential.service_account or ""
    project = project_of(account)
    if failure.anchor not in {"impersonation-denied", "immutable-subject", "account-missing"}:
        return failure
    known = case.viewer.account(project, account)
    accounts = case.viewer.accounts(project) if known is None else []
    if accounts and account not in accounts:
        near = nearest(account, accounts)
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
    provider = case.viewer.provider(credential.provider)
    holders = case.viewer.members(project, account, IMPERSONATORS)
    if provider is None or holders is None:
        return failure
    return _binding(failure, case, credential, conditions.mapping_of(provider), holders)


def credential(failure: Failure, case: Case) -> Failure:
    """Why a key, or another kind of credential, is refused."""
    if not isinstance(case.credential, Key):
        return failure
    account = str(case.credential.info["client_email"])
    project = project_of(account)
    if failure.anchor == "account-disabled":
        known = case.viewer.account(project, account)
        return _switched_off(failure, account, project) if known and known.get("disabled") else failure
    id_ = str(case.credential.info.get("client_id"))
    if failure.anchor == "account-missing" and id_.isdecimal():
        return mended(
            failure,
            cause=f"the account {account} was deleted; for 30 days it can be brought back by its number",
            fix=f"bring it back\n  gcloud iam service-accounts undelete {id_} --project={project}",
            anchor="account-missing",
        )
    return failure


def _binding(
    failure: Failure, case: Case, credential: Federation, mapping: Mapping[str, str], holders: Mapping[str, str]
) -> Failure:
    """What is wrong with the bindings that are there: `holders`, and the condition that each has."""
    account = credential.service_account or ""
    pool = credential.provider.partition("/providers/")[0]
    ours = conditions.members(pool, conditions.mapped(mapping, case.claims))
    if not ours:
        return failure
    base = f"principalSet://iam.googleapis.com/{pool}/"
    command = (
        f"gcloud iam service-accounts add-iam-policy-binding {account} --project={project_of(account)} "
        f"--role=roles/iam.workloadIdentityUser --member={quoted(next(iter(ours.values())))}"
    )
    if bound := [holder for holder in holders if holder in {*ours.values(), f"{base}*"}]:
        return _bound(failure, account, bound, holders, command)
    for holder in holders:
        name, _, value = holder.removeprefix(base).partition("/")
        claim = name.removeprefix("attribute.")
        if holder.startswith(f"{base}attribute.") and name not in mapping and str(case.claims.get(claim)) == value:
            return mended(
                failure,
                cause=f"the account is bound to {name}, which the provider does not map, so nobody has it",
                fix="map it\n" + to_map(credential, {**mapping, name: f"assertion.{claim}"}),
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
        if subject != conditions.old_subject(subject) == holder:
            return mended(
                failure,
                cause=f"the account is bound to {holder}; the subject of this job holds ids, as in repositories made "
                "or renamed since 2026-07-15",
                fix=f"bind what lasts\n  {command}",
                anchor="immutable-subject",
            )
    others = f"it is bound to {', '.join(holders)}" if holders else "nobody is bound to it"
    return mended(
        failure,
        cause=f"the identity lacks roles/iam.workloadIdentityUser on the account: {others}",
        fix=f"let this repository's jobs act as it\n  {command}",
        anchor="impersonation-denied",
    )


def _bound(failure: Failure, account: str, bound: list[str], holders: Mapping[str, str], command: str) -> Failure:
    """IAM refuses whom the account is bound to."""
    who = min(bound, key=holders.__getitem__)  # without a condition, if there is one
    new = "a new binding takes some minutes to be seen"
    if condition := holders[who]:
        return mended(
            failure,
            cause=f"the account is bound to {who}, which this job is, on a condition, {condition}, which does not "
            f"hold; or {new}",
            fix=f"change the condition; or let it act without one\n  {command} --condition=None",
            anchor="impersonation-denied",
        )
    return mended(
        failure,
        cause=f"the account is bound to {who}, which this job is; {new}",
        fix="wait some minutes, and run it again; who is bound says\n"
        f"  gcloud iam service-accounts get-iam-policy {account} --project={project_of(account)}",
        anchor="impersonation-denied",
    )


def _switched_off(failure: Failure, account: str, project: str) -> Failure:
    return mended(
        failure,
        cause=f"the account {account} is switched off",
        fix=f"ask why, then switch it on again\n  gcloud iam service-accounts enable {account} --project={project}",
        anchor="account-disabled",
    )
