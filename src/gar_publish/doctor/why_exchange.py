"""Why Google's token service refuses an identity, judged from its claims and from what IAM holds of pool and provider.

What publishing says stands where nothing better is known.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gar_publish.auth.refusals import project_of
from gar_publish.doctor import conditions
from gar_publish.doctor.case import Case
from gar_publish.doctor.conditions import Mismatch
from gar_publish.doctor.mending import mended, quoted
from gar_publish.doctor.why_name import nearest
from gar_publish.errors import Failure
from gar_publish.settings.credential import Federation

_POOLS = "gcloud iam workload-identity-pools"
_PROVIDERS = f"{_POOLS} providers"
_TOLD_BY_THE_PROVIDER = {"provider-missing", "attribute-condition", "immutable-subject", "audience", "subject-too-long"}


def exchange(failure: Failure, case: Case, credential: Federation) -> Failure:
    """Why Google's token service refuses."""
    if failure.anchor not in _TOLD_BY_THE_PROVIDER:
        return failure
    provider = case.viewer.provider(credential.provider)
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
            mapping = conditions.mapping_of(provider)
            return mended(
                failure,
                cause=f"google.subject is mapped from {mapping.get('google.subject')}, which is too long for this job; "
                "Google takes 127 bytes",
                fix="map something short instead; bindings to the old subject have to be made anew\n"
                + to_map(credential, {**mapping, "google.subject": "assertion.repository_id"}),
                anchor="subject-too-long",
            )
    return failure


def to_map(credential: Federation, mapping: Mapping[str, str]) -> str:
    """The command that gives a provider this mapping, as a line of a fix."""
    pairs = [f"{name}={expression}" for name, expression in mapping.items()]
    # gcloud splits at commas, which calls of CEL hold as well, unless it is told otherwise: `gcloud topic escaping`.
    listed = "^~^" + "~".join(pairs) if "," in "".join(pairs) else ",".join(pairs)
    return f"  {_PROVIDERS} update-oidc {credential.provider} --attribute-mapping={quoted(listed)}"


def _missing(failure: Failure, case: Case, credential: Federation, provider: Mapping[str, Any] | None) -> Failure:
    pool_name, _, id_ = credential.provider.partition("/providers/")
    number, pool_id = pool_name.split("/")[1], pool_name.rpartition("/")[2]
    pool = case.viewer.pool(pool_name)
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
    if provider is None and (near := nearest(id_, case.viewer.providers(pool_name))):
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
        right = case.viewer.project_number(project) if project else None
        if not right:
            continue
        if right != number and case.viewer.provider(named := credential.provider.replace(number, right, 1)):
            return mended(
                failure,
                cause=f"{number} is another project's number; the provider is in {project}, whose number is {right}",
                fix=f"give its number\n  workload-identity-provider: {named}",
                anchor="provider-missing",
            )
        if near := nearest(pool_id, case.viewer.pools(right)):
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
    mapping = conditions.mapping_of(provider)
    found = conditions.mismatch(condition, mapping, case.claims)
    if found is None:
        return _shown(failure, condition, conditions.unmet(condition, mapping, case.claims)) if condition else failure
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


def _shown(failure: Failure, condition: str, unmet: Sequence[Mismatch]) -> Failure:
    """The condition beside the claims, where no single comparison decides."""
    listed = ", ".join(dict.fromkeys(f"{each.claim} == '{each.wanted}' (it is '{each.found}')" for each in unmet))
    runs = {each.why for each in unmet} == {"another run"}
    return mended(
        failure,
        cause=f"{failure.cause}; the condition is {condition}"
        + (f"; of it, this does not hold: {listed}" * bool(unmet)),
        fix="run it where the condition holds; if runs like this one are to publish too, change it"
        if runs
        else failure.fix,
        anchor=failure.anchor,
    )


def _oidc(provider: Mapping[str, Any]) -> Mapping[str, Any]:
    found = provider.get("oidc")
    return found if isinstance(found, dict) else {}
