"""Explains why Google's token service refuses an identity, from the job's claims and the pool and provider in IAM."""

from collections.abc import Mapping

from gar_publish.auth.refusals import project_of
from gar_publish.doctor import conditions
from gar_publish.doctor.case import Case
from gar_publish.doctor.conditions import Mismatch, Why, quoted
from gar_publish.doctor.why_name import pick_nearest
from gar_publish.errors import Failure
from gar_publish.settings.credential import Federation

_POOLS = "gcloud iam workload-identity-pools"
_PROVIDERS = f"{_POOLS} providers"

_MISMATCHES: Mapping[Why, tuple[str, str, str]] = {
    "letter case": (
        "upper and lower case differ",
        "write the value as GitHub does\n  {update}",
        "attribute-condition",
    ),
    "immutable subject": (
        (
            "the token's `sub` claim also contains numeric IDs (GitHub does this for repositories created or renamed "
            "since 2026-07-15)"
        ),
        "compare with the new form, or better with IDs only\n  {update}",
        "immutable-subject",
    ),
    "another repository": (
        "the condition admits other repositories",
        "if this repository should publish too, add it to the condition\n  {update}",
        "attribute-condition",
    ),
    "another run": (
        "the condition excludes runs like this one",
        "run the job where {claim} is {wanted}, or change the condition: {condition}",
        "attribute-condition",
    ),
}
"""The meaning of a false comparison, its fix, and its section in the documentation."""


def explain_exchange(failure: Failure, case: Case, credential: Federation) -> Failure:
    """Return the failure with the cause that IAM shows; unchanged if it shows none."""
    if failure.anchor == "provider-missing":
        return _explain_missing(failure, case, credential)
    if failure.anchor not in {"attribute-condition", "immutable-subject", "audience", "subject-too-long"}:
        return failure
    provider = case.viewer.provider(credential.provider)
    if not provider:
        return failure
    update = f"{_PROVIDERS} update-oidc {credential.provider}"
    mapping = conditions.read_mapping(provider)
    if failure.anchor == "audience":
        oidc = provider.get("oidc")
        known = oidc.get("allowedAudiences", []) if isinstance(oidc, dict) else []
        audiences = quoted(",".join([*known, f"https://iam.googleapis.com/{credential.provider}"]))
        return failure.because(
            cause=failure.cause,
            fix=f"add this job's audience to the list\n  {update} --allowed-audiences={audiences}",
            anchor="audience",
        )
    if failure.anchor == "subject-too-long":
        return failure.because(
            cause=f"google.subject is mapped from {mapping.get('google.subject')}, which is too long for this job: "
            "Google's limit is 127 bytes",
            fix="map a shorter claim instead, and replace the bindings to the old subject\n"
            + mapping_command(credential, {**mapping, "google.subject": "assertion.repository_id"}),
            anchor="subject-too-long",
        )
    condition = str(provider.get("attributeCondition", ""))
    return _explain_condition(
        failure,
        condition,
        conditions.find_mismatches(condition, mapping, case.claims),
        f"{update} --attribute-condition=",
    )


def mapping_command(credential: Federation, mapping: Mapping[str, str]) -> str:
    """Return the command that gives a provider this mapping, as a line of a fix."""
    pairs = [f"{name}={expression}" for name, expression in mapping.items()]
    # gcloud splits the value at commas, which CEL calls contain too, unless told otherwise: `gcloud topic escaping`.
    listed = "^~^" + "~".join(pairs) if "," in "".join(pairs) else ",".join(pairs)
    return f"  {_PROVIDERS} update-oidc {credential.provider} --attribute-mapping={quoted(listed)}"


def _explain_missing(failure: Failure, case: Case, credential: Federation) -> Failure:
    pool_name, _, id_ = credential.provider.partition("/providers/")
    pool, provider = case.viewer.pool(pool_name), case.viewer.provider(credential.provider)
    pool_id = pool_name.rpartition("/")[2]
    for what, group, update, name, found in (
        (f"pool {pool_id}", _POOLS, "update", pool_name, pool),
        (f"provider {id_}", _PROVIDERS, "update-oidc", credential.provider, provider),
    ):
        if found and found.get("state") == "DELETED":
            return failure.because(
                cause=f"the {what} was deleted; it can be restored for 30 days",
                fix=f"restore the {what}\n  {group} undelete {name}",
                anchor="provider-missing",
            )
        if found and found.get("disabled"):
            return failure.because(
                cause=f"the {what} is disabled",
                fix=f"enable the {what}\n  {group} {update} {name} --no-disabled",
                anchor="provider-missing",
            )
    if pool is None:
        return _explain_project(failure, case, credential, pool_name.split("/")[1], pool_id)
    if provider is None and (near := pick_nearest(id_, case.viewer.providers(pool_name))):
        return failure.because(
            cause=f"the pool {pool_id} has no provider {id_}, but it has {near}",
            fix=f"set `workload-identity-provider: {pool_name}/providers/{near}`",
            anchor="provider-missing",
        )
    return failure


def _explain_project(failure: Failure, case: Case, credential: Federation, number: str, pool_id: str) -> Failure:
    """Look for the pool in the project of the repository and in that of the account."""
    account = credential.service_account or ""
    for project in dict.fromkeys([case.target.project or "", project_of(account) if account else ""]):
        right = case.viewer.project_number(project) if project else None
        if not right:
            continue
        name = credential.provider.replace(number, right, 1)
        if right != number and case.viewer.provider(name):
            return failure.because(
                cause=f"{number} is another project's number; the provider is in {project}, whose number is {right}",
                fix=f"set `workload-identity-provider: {name}`",
                anchor="provider-missing",
            )
        if near := pick_nearest(pool_id, case.viewer.pools(right)):
            return failure.because(
                cause=f"{project} has no pool {pool_id}, but it has {near}",
                fix=f"set `workload-identity-provider: {name.replace(f'Pools/{pool_id}/', f'Pools/{near}/')}`",
                anchor="provider-missing",
            )
    return failure


def _explain_condition(failure: Failure, condition: str, mismatches: list[Mismatch], option: str) -> Failure:
    if found := next((each for each in mismatches if each.needed), None):
        meaning, fix, anchor = _MISMATCHES[found.why]
        return failure.because(
            cause=f"the condition requires {found.claim} == '{found.wanted}', but the token has '{found.found}': "
            + meaning,
            fix=fix.format(
                update=option + quoted(found.condition), claim=found.claim, wanted=found.wanted, condition=condition
            ),
            anchor=anchor,
        )
    if not condition:
        return failure
    # No single comparison decides: show the condition next to the claims.
    listed = dict.fromkeys(f"{each.claim} == '{each.wanted}' (it is '{each.found}')" for each in mismatches)
    return failure.because(
        cause=f"{failure.cause}; the condition is {condition}"
        + (f"; this part of it is false: {', '.join(listed)}" if listed else ""),
        fix="run the job where the condition is true; if runs like this one should publish too, change the condition"
        if {each.why for each in mismatches} == {"another run"}
        else failure.fix,
        anchor=failure.anchor,
    )
