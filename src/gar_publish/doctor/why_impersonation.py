"""Explains why an identity cannot act as a service account, from the job's claims and the account in IAM."""

from collections.abc import Mapping

from gar_publish.auth.refusals import project_of
from gar_publish.doctor import conditions
from gar_publish.doctor.case import Case
from gar_publish.doctor.conditions import quoted
from gar_publish.doctor.why_exchange import mapping_command
from gar_publish.doctor.why_name import pick_nearest
from gar_publish.errors import Failure
from gar_publish.settings.credential import Federation, Key

IMPERSONATORS = frozenset({"roles/iam.workloadIdentityUser", "roles/iam.serviceAccountTokenCreator"})
"""https://cloud.google.com/iam/docs/service-account-permissions"""


def explain_impersonation(failure: Failure, case: Case, credential: Federation) -> Failure:
    """Return the failure with the cause that IAM shows; unchanged if it shows none."""
    if failure.anchor not in {"impersonation-denied", "immutable-subject", "account-missing"}:
        return failure
    email = credential.service_account or ""
    project = project_of(email)
    account = case.viewer.account(project, email)
    others = case.viewer.accounts(project) if account is None else []
    if others and email not in others:
        near = pick_nearest(email, others)
        return failure.because(
            cause=f"the service account {email} does not exist" + (f"; did you mean {near}?" if near else ""),
            fix=f"set `service-account: {near}`"
            if near
            else "create the service account\n"
            f"  gcloud iam service-accounts create {email.partition('@')[0]} --project={project}",
            anchor="account-missing",
        )
    if account and account.get("disabled"):
        return _explain_disabled(failure, email, project)
    provider = case.viewer.provider(credential.provider)
    bound = case.viewer.members(project, email, IMPERSONATORS)
    if provider is None or bound is None:
        return failure
    return _explain_binding(failure, case, credential, conditions.read_mapping(provider), bound)


def explain_credential(failure: Failure, case: Case) -> Failure:
    """Return the failure of a credential other than workload identity with the cause that IAM shows, if any."""
    if not isinstance(case.credential, Key):
        return failure
    email = str(case.credential.info["client_email"])
    project = project_of(email)
    if failure.anchor == "account-disabled":
        account = case.viewer.account(project, email)
        return _explain_disabled(failure, email, project) if account and account.get("disabled") else failure
    id_ = str(case.credential.info.get("client_id"))
    if failure.anchor == "account-missing" and id_.isdecimal():
        return failure.because(
            cause=f"the service account {email} was deleted; it can be restored for 30 days by its number",
            fix=f"restore the service account\n  gcloud iam service-accounts undelete {id_} --project={project}",
            anchor="account-missing",
        )
    return failure


def _explain_binding(
    failure: Failure, case: Case, credential: Federation, mapping: Mapping[str, str], bound: Mapping[str, str]
) -> Failure:
    """Compare the members that the account is bound to, each with its condition, with those that include this job."""
    account = credential.service_account or ""
    pool = credential.provider.partition("/providers/")[0]
    ours = conditions.list_members(pool, conditions.map_claims(mapping, case.claims))
    if not ours:
        return failure
    base = f"principalSet://iam.googleapis.com/{pool}/"
    command = (
        f"gcloud iam service-accounts add-iam-policy-binding {account} --project={project_of(account)} "
        f"--role=roles/iam.workloadIdentityUser --member={quoted(next(iter(ours.values())))}"
    )
    if matching := [member for member in bound if member in {*ours.values(), f"{base}*"}]:
        return _explain_matching_binding(failure, account, matching, bound, command)
    subject = ours.get("google.subject", "")
    for member in bound:
        name, _, value = member.removeprefix(base).partition("/")
        claim = name.removeprefix("attribute.")
        if member.startswith(f"{base}attribute.") and name not in mapping and str(case.claims.get(claim)) == value:
            return failure.because(
                cause=f"the service account's binding is for {name}, which the provider does not map",
                fix=f"map {name}\n" + mapping_command(credential, {**mapping, name: f"assertion.{claim}"}),
                anchor="impersonation-denied",
            )
        if member.lower() in {each.lower() for each in ours.values()}:
            return failure.because(
                cause=f"the service account's binding is for {member}, which differs from GitHub's spelling in "
                "upper and lower case",
                fix=f"add a binding in GitHub's spelling\n  {command}",
                anchor="impersonation-denied",
            )
        if subject != conditions.without_ids(subject) == member:
            return failure.because(
                cause=f"the service account's binding is for {member}, but this job's `sub` claim also contains "
                "numeric IDs",
                fix=f"add a binding for an attribute that does not change\n  {command}",
                anchor="immutable-subject",
            )
    return failure.because(
        cause="the identity lacks roles/iam.workloadIdentityUser on the service account; the role is granted to "
        f"{', '.join(bound) or 'no one'}",
        fix=f"let this repository's jobs act as the service account\n  {command}",
        anchor="impersonation-denied",
    )


def _explain_matching_binding(
    failure: Failure, account: str, matching: list[str], bound: Mapping[str, str], command: str
) -> Failure:
    member = min(matching, key=bound.__getitem__)  # one without a condition, if there is one
    if condition := bound[member]:
        return failure.because(
            cause=f"the binding for {member} includes this job, under a condition that is false: {condition}; or it is "
            "only a few minutes old",
            fix=f"change the condition, or add a binding without one\n  {command} --condition=None",
            anchor="impersonation-denied",
        )
    return failure.because(
        cause=f"the service account's binding is for {member}, which includes this job; a new binding takes a few "
        "minutes to work",
        fix="wait a few minutes and run the job again; this shows the bindings\n"
        f"  gcloud iam service-accounts get-iam-policy {account} --project={project_of(account)}",
        anchor="impersonation-denied",
    )


def _explain_disabled(failure: Failure, email: str, project: str) -> Failure:
    return failure.because(
        cause=f"the service account {email} is disabled",
        fix="find out why the service account was disabled, then enable it\n"
        f"  gcloud iam service-accounts enable {email} --project={project}",
        anchor="account-disabled",
    )
