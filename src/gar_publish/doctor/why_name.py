"""What an input was meant to be."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from functools import partial
from typing import Any

from gar_publish.doctor.case import Case
from gar_publish.doctor.mending import mended
from gar_publish.errors import BadInput, Failure
from gar_publish.registry.google_api import GoogleApi, json_object
from gar_publish.registry.repository_api import RepositoryApi
from gar_publish.settings.repository import Repository
from gar_publish.settings.settings import read_repository
from gar_publish.threads import aside, result
from gar_publish.transport.session import is_success

_MOST = 60
"""Other locations and repositories that are looked into."""
_BY_ID = re.compile(r"projects/([^/\d][^/]*)/(locations/global/workloadIdentityPools/.+)")


def repository(failure: Failure, case: Case) -> Failure:
    """Why the repository's name is not one."""
    wanted = {name: case.inputs.get(name, "").strip() for name in ("repository", "project", "location")}
    lower = {name: value.lower() for name, value in wanted.items()}
    if lower == wanted:
        return failure
    try:
        read_repository(lower, case.context.endpoints)
    except BadInput:
        return failure
    changed = "\n".join(f"  {name}: {value}" for name, value in lower.items() if value != wanted[name])
    return mended(
        failure,
        cause="it holds capitals, and locations, project ids and repositories of Google's have none",
        fix=f"write it in small letters\n{changed}",
        anchor="repository-form",
    )


def provider(failure: Failure, case: Case) -> Failure:
    """Why the provider's name, or another credential, is not one."""
    given = case.inputs.get("workload-identity-provider", "").strip()
    by_id = _BY_ID.search(given)
    number = case.viewer.project_number(by_id[1]) if by_id else None
    if not by_id or not number:
        return failure
    return mended(
        failure,
        cause=f"{by_id[1]} is the project's id; its number is {number}",
        fix=f"give its number\n  workload-identity-provider: projects/{number}/{by_id[2]}",
        anchor="provider-name",
    )


def nearest(name: str, known: Sequence[str]) -> str | None:
    """The name that is meant: the nearest, or the only one."""
    return next(iter(get_close_matches(name, known, n=1, cutoff=0.6)), known[0] if len(known) == 1 else None)


def elsewhere(failure: Failure, case: Case, repository: Repository) -> Failure | None:
    """The same repository in another location, if somebody can see it there."""
    for location in _locations(case, repository):
        return mended(
            failure,
            cause=f"{repository.name} is in {location}, not in {repository.location}",
            fix=f"give its location\n  repository: {location}/{repository.project}/{repository.name}",
            anchor="repository-missing",
        )
    return None


def misspelt(failure: Failure, case: Case, repository: Repository) -> Failure | None:
    """The repository of nearly the same name, if there is one."""
    near = get_close_matches(repository.name or "", beside(case, repository), n=1)
    if not near:
        return None
    return mended(
        failure,
        cause=f"there is no {repository.name} in {repository.location}, but one that is called {near[0]}",
        fix=f"give its name\n  repository: {repository.location}/{repository.project}/{near[0]}",
        anchor="repository-missing",
    )


def beside(case: Case, repository: Repository) -> list[str]:
    """The other repositories in the same location, as far as anybody can see them."""
    parent = (repository.resource or "").rpartition("/")[0]
    for api in _clients(case):
        if listed := _listed(api, f"{case.context.endpoints.artifact_registry}/{parent}", "repositories"):
            names = [str(each.get("name", "")).rpartition("/")[2] for each in listed]
            return [name for name in names if name not in {"", repository.name}][:_MOST]
    return []


def at(case: Case, repository: Repository, *, name: str = "", location: str = "") -> Repository:
    """The repository of another name, or in another location."""
    text = f"{location or repository.location}/{repository.project}/{name or repository.name}"
    return Repository.parse(text, endpoints=case.context.endpoints)


def _locations(case: Case, repository: Repository) -> list[str]:
    """The other locations that have a repository of this name which whoever publishes, or a viewer, can see."""
    base = f"{case.context.endpoints.artifact_registry}/projects/{repository.project}/locations"
    for api in _clients(case):
        listed = [str(each.get("locationId", "")) for each in _listed(api, base, "locations")]
        others = [name for name in listed if name not in {"", repository.location}][:_MOST]
        seen = {name: aside(partial(_sees, case, api, at(case, repository, location=name))) for name in sorted(others)}
        if found := [name for name, pending in seen.items() if result(pending)]:
            return found
    return []


def _clients(case: Case) -> list[GoogleApi]:
    return [each for each in (case.api(), case.viewer.api()) if each]


def _listed(api: GoogleApi, url: str, name: str) -> list[dict[str, Any]]:
    try:
        answer = api.call("GET", url, what=f"list {name}")
        found = json_object(answer).get(name, []) if is_success(answer) else []
    except Failure:
        return []
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _sees(case: Case, api: GoogleApi, repository: Repository) -> bool:
    return RepositoryApi(repository, endpoints=case.context.endpoints, api=api).takes_uploads()
