"""The last links: the repository, the rights on it, and the index that others install from."""

from difflib import get_close_matches
from functools import partial
from typing import Any

from gar_publish.access import open_access
from gar_publish.artifact_registry import DOWNLOAD, UPLOAD, RepositoryApi
from gar_publish.aside import aside, result
from gar_publish.doctor.case import Case, NotChecked
from gar_publish.doctor.members import member
from gar_publish.doctor.mending import mended, quoted
from gar_publish.errors import Failure, RegistryRefused
from gar_publish.google_api import GoogleApi, json_object
from gar_publish.http import is_success
from gar_publish.identity import KeyPassword
from gar_publish.repository import Repository
from gar_publish.settings import read_index_token
from gar_publish.units import rfc3339

_MOST = 60
"""Other locations and repositories that are looked into."""


def check_repository(case: Case, facts: list[str]) -> None:
    """Whether it is there, and takes Python packages.

    Raises:
        RegistryRefused: It does not, or its API is switched off.
    """
    repository = _googles(case)
    try:
        found = case.repository_api(repository).describe()
        if found is None and (api := case.onlooker.api()):
            found = case.repository_api(repository, api).describe()
    except RegistryRefused as failure:
        raise _not_there(failure, case, repository) from None
    if found is None:
        raise NotChecked("this identity may not ask; the next link tells")
    case.described = found
    facts.append(f"format {found.get('format')}, mode {found.get('mode')}, in {repository.location}")


def check_permissions(case: Case, facts: list[str]) -> None:
    """Whether whoever publishes may upload and download.

    Raises:
        RegistryRefused: Not so.
    """
    repository = _googles(case)
    held = case.repository_api(repository).permitted((UPLOAD, DOWNLOAD))
    if held is None:
        raise NotChecked("the API does not tell; the upload itself will")
    facts += [f"{name}: {'held' if name in held else 'not held'}" for name in (UPLOAD, DOWNLOAD)]
    if UPLOAD not in held:
        raise _not_allowed(case, repository, reads=DOWNLOAD in held)


def check_index(case: Case, facts: list[str]) -> None:
    """Whether the index can be read with the token that would be handed out.

    Raises:
        Failure: It cannot.
    """
    if case.credential is None:
        raise NotChecked("nobody to read as")
    wanted = read_index_token({}, case.credential)
    access = open_access(case.target, case.credential, wanted, case.around, case.session)
    access.files("gar-publish")  # any name will do
    facts.append("can be read")
    token = access.line_token()
    if token:
        scheme, _, rest = case.target.index_url.partition("://")
        facts.append(f"--extra-index-url {scheme}://{token.user}:***@{rest}")
        facts.append("carries the publishing token" if access.reads_as_publisher else "carries a read-only token")
        facts.append(f"good until {rfc3339(token.expires_at)}" if token.expires_at else "nobody says until when")


def _googles(case: Case) -> Repository:
    if case.target.resource is None:
        raise NotChecked("not a repository of Artifact Registry")
    if isinstance(case.credential, KeyPassword):
        raise NotChecked("a key that is the password is shown to the index alone")
    return case.target


def _not_there(failure: Failure, case: Case, repository: Repository) -> Failure:
    """Where it is instead, or which one can be published to."""
    if failure.anchor == "repository-missing":
        return _elsewhere(failure, case, repository) or _misspelt(failure, case, repository) or failure
    if failure.anchor not in {"repository-mode", "repository-format"}:
        return failure
    where = f"{repository.location}/{repository.project}/"
    takes = [
        name
        for name in _names(case, repository)
        if case.repository_api(_at(case, repository, name=name)).takes_uploads()
    ]
    fix = (
        f"publish to one that takes Python packages\n  repository: {where}{takes[0]}"
        if takes
        else (
            "create one that takes Python packages, and give its name\n"
            f"  {repository.to_create(f'{repository.name}-python')}\n"
            f"  repository: {where}{repository.name}-python"
        )
    )
    if failure.anchor == "repository-mode":
        return mended(failure, cause=failure.cause, fix=fix, anchor="repository-mode")
    return mended(
        failure, cause="a repository takes one kind of package, for ever", fix=fix, anchor="repository-format"
    )


def _elsewhere(failure: Failure, case: Case, repository: Repository) -> Failure | None:
    """The same repository in another location, if somebody can see it there."""
    for location in _locations(case, repository):
        return mended(
            failure,
            cause=f"{repository.name} is in {location}, not in {repository.location}",
            fix=f"give its location\n  repository: {location}/{repository.project}/{repository.name}",
            anchor="repository-missing",
        )
    return None


def _misspelt(failure: Failure, case: Case, repository: Repository) -> Failure | None:
    """The repository of nearly the same name, if there is one."""
    near = get_close_matches(repository.name or "", _names(case, repository), n=1)
    if not near:
        return None
    return mended(
        failure,
        cause=f"there is no {repository.name} in {repository.location}, but one that is called {near[0]}",
        fix=f"give its name\n  repository: {repository.location}/{repository.project}/{near[0]}",
        anchor="repository-missing",
    )


def _not_allowed(case: Case, repository: Repository, *, reads: bool) -> Failure:
    who = member(case)
    failure = RegistryRefused(
        f"{who if '@' in who else 'Whoever publishes'} may not upload to {repository}.",
        cause="the identity lacks roles/artifactregistry.writer on this repository"
        + ("" if case.described else "; or there is no such repository, which Google answers the same"),
        fix=f"give it the role\n  {repository.to_grant(quoted(who), 'roles/artifactregistry.writer')}",
        anchor="registry-403",
    )
    if reads:
        return mended(
            failure,
            cause="the identity holds the reader's role alone: it may download, and upload nothing",
            fix=failure.fix,
            anchor="registry-403",
        )
    if not case.described and (moved := _elsewhere(failure, case, repository)):
        return moved
    for name in _names(case, repository):
        if UPLOAD in (case.repository_api(_at(case, repository, name=name)).permitted((UPLOAD,)) or ()):
            return mended(
                failure,
                cause=f"the identity holds the role on another resource: it may upload to {name}",
                fix=failure.fix,
                anchor="registry-403",
            )
    return failure


def _locations(case: Case, repository: Repository) -> list[str]:
    """The other locations that have a repository of this name which whoever publishes, or an onlooker, can see."""
    base = f"{case.around.endpoints.artifact_registry}/projects/{repository.project}/locations"
    for api in _clients(case):
        listed = [str(each.get("locationId", "")) for each in _listed(api, base, "locations")]
        others = [name for name in listed if name not in {"", repository.location}][:_MOST]
        seen = {name: aside(partial(_sees, case, api, _at(case, repository, location=name))) for name in sorted(others)}
        if found := [name for name, pending in seen.items() if result(pending)]:
            return found
    return []


def _names(case: Case, repository: Repository) -> list[str]:
    """The other repositories in the same location, as far as anybody can see them."""
    parent = (repository.resource or "").rpartition("/")[0]
    for api in _clients(case):
        if listed := _listed(api, f"{case.around.endpoints.artifact_registry}/{parent}", "repositories"):
            names = [str(each.get("name", "")).rpartition("/")[2] for each in listed]
            return [name for name in names if name not in {"", repository.name}][:_MOST]
    return []


def _clients(case: Case) -> list[GoogleApi]:
    return [each for each in (case.api(), case.onlooker.api()) if each]


def _listed(api: GoogleApi, url: str, name: str) -> list[dict[str, Any]]:
    try:
        answer = api.call("GET", url, what=f"list {name}")
        found = json_object(answer).get(name, []) if is_success(answer) else []
    except Failure:
        return []
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _sees(case: Case, api: GoogleApi, repository: Repository) -> bool:
    return RepositoryApi(repository, endpoints=case.around.endpoints, api=api).takes_uploads()


def _at(case: Case, repository: Repository, *, name: str = "", location: str = "") -> Repository:
    text = f"{location or repository.location}/{repository.project}/{name or repository.name}"
    return Repository.parse(text, endpoints=case.around.endpoints)
