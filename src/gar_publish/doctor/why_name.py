"""Explains a wrong name of a repository or provider: finds the one that was meant."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from gar_publish.doctor.case import Case
from gar_publish.errors import BadInput, Failure
from gar_publish.registry.google_api import GoogleApi, json_object
from gar_publish.settings.repository import Repository
from gar_publish.settings.settings import read_repository
from gar_publish.threads import in_background, result
from gar_publish.transport.session import is_success

_MOST = 60
"""How many other locations or repositories are looked at."""
_BY_ID = re.compile(r"projects/([^/\d][^/]*)/(locations/global/workloadIdentityPools/.+)")


def explain_repository(failure: Failure, case: Case) -> Failure:
    """Return the failure of a malformed repository with the lower-case spelling, if that one is valid."""
    given = {name: case.inputs.get(name, "").strip() for name in ("repository", "project", "location")}
    lower = {name: value.lower() for name, value in given.items()}
    try:
        read_repository(lower, case.context.endpoints)
    except BadInput:
        return failure
    changed = " and ".join(f"`{name}: {value}`" for name, value in lower.items() if value != given[name])
    return failure.because(
        cause="the name has capital letters; locations, project IDs and repositories of Artifact Registry have none",
        fix=f"set {changed}",
        anchor="repository-form",
    )


def explain_provider(failure: Failure, case: Case) -> Failure:
    """Return the failure of a malformed credential with the project's number, if the provider is named by its id."""
    by_id = _BY_ID.search(case.inputs.get("workload-identity-provider", "").strip())
    number = case.viewer.project_number(by_id[1]) if by_id else None
    if not by_id or not number:
        return failure
    return failure.because(
        cause=f"{by_id[1]} is the project ID; the project number is {number}",
        fix=f"set `workload-identity-provider: projects/{number}/{by_id[2]}`",
        anchor="provider-name",
    )


def pick_nearest(name: str, known: Sequence[str]) -> str | None:
    """Return the most similar name, or else the only one."""
    return next(iter(get_close_matches(name, known, n=1, cutoff=0.6)), known[0] if len(known) == 1 else None)


def explain_location(failure: Failure, case: Case, repository: Repository) -> Failure | None:
    """Return the failure with the location that has this repository, if one is visible."""
    for location in _find_locations(case, repository):
        return failure.because(
            cause=f"{repository.name} is in {location}, not in {repository.location}",
            fix=f"set `repository: {location}/{repository.project}/{repository.name}`",
            anchor="repository-missing",
        )
    return None


def explain_spelling(failure: Failure, case: Case, repository: Repository) -> Failure | None:
    """Return the failure with the repository that has a similar name, if there is one."""
    for near in get_close_matches(repository.name or "", list_others(case, repository), n=1):
        return failure.because(
            cause=f"{repository.location} has no repository {repository.name}, but it has {near}",
            fix=f"set `repository: {repository.location}/{repository.project}/{near}`",
            anchor="repository-missing",
        )
    return None


def list_others(case: Case, repository: Repository) -> list[str]:
    """Return the names of the visible other repositories in the same location."""
    parent = (repository.resource or "").rpartition("/")[0]
    for api in _clients(case):
        if listed := _list(api, f"{case.context.endpoints.artifact_registry}/{parent}", "repositories"):
            names = [str(each.get("name", "")).rpartition("/")[2] for each in listed]
            return [name for name in names if name not in {"", repository.name}][:_MOST]
    return []


def rename(case: Case, repository: Repository, *, name: str = "", location: str = "") -> Repository:
    """Return the repository of another name or in another location."""
    text = f"{location or repository.location}/{repository.project}/{name or repository.name}"
    return Repository.parse(text, endpoints=case.context.endpoints)


def _find_locations(case: Case, repository: Repository) -> list[str]:
    """Return the other locations in which the publisher or the viewer sees a repository of this name."""
    base = f"{case.context.endpoints.artifact_registry}/projects/{repository.project}/locations"
    for api in _clients(case):
        listed = [str(each.get("locationId", "")) for each in _list(api, base, "locations")]
        others = sorted([name for name in listed if name not in {"", repository.location}][:_MOST])
        clients = {name: case.repository_api(rename(case, repository, location=name), api) for name in others}
        seen = {name: in_background(client.takes_uploads) for name, client in clients.items()}
        if found := [name for name, pending in seen.items() if result(pending)]:
            return found
    return []


def _clients(case: Case) -> list[GoogleApi]:
    return [each for each in (case.api(), case.viewer.api()) if each]


def _list(api: GoogleApi, url: str, name: str) -> list[dict[str, Any]]:
    try:
        answer = api.call("GET", url, what=f"list {name}")
        found = json_object(answer).get(name, []) if is_success(answer) else []
    except Failure:
        return []
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
