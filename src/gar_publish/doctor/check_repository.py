"""Checks the repository, the permissions on it, and the index that users install from."""

from collections.abc import Iterator
from contextlib import contextmanager

from gar_publish.console import rfc3339
from gar_publish.doctor import why_name
from gar_publish.doctor.case import Case, NotChecked
from gar_publish.doctor.conditions import quoted
from gar_publish.doctor.principal import find_member
from gar_publish.errors import Failure, RegistryRefused
from gar_publish.registry.access import Access, open_for_reading
from gar_publish.registry.refusals import DOWNLOAD, UPLOAD, WRITER, explain_denial
from gar_publish.settings.credential import KeyPassword
from gar_publish.settings.repository import Repository
from gar_publish.settings.settings import OPTIONS

_ATTACH = tuple(
    f"artifactregistry.{name}"
    for name in ("attachments.create", "attachments.get", "files.download", "files.update", "files.upload")
)
"""The permissions that `registry/attachments.py` needs."""
_NOT_ALLOWED = RegistryRefused("The API does not grant the permission.", anchor="registry-403")
_ANY = "gar-publish"
"""A package to look up in an index; it need not exist."""


def check_repository(case: Case, facts: list[str]) -> None:
    """Check that the repository exists and accepts Python packages.

    Raises:
        RegistryRefused: It does not, or the API is disabled.
    """
    repository = _googles(case, case.target)
    try:
        with _quota_project_optional(case):
            found = case.repository_api(repository).describe()
            if found is None and (api := case.viewer.api()):
                found = case.repository_api(repository, api).describe()
    except RegistryRefused as failure:
        raise _explain_repository(failure, case, repository) from None
    if found is None:
        raise NotChecked("no permission to look; the next check tells more")
    case.described = found
    facts.append(f"format {found.get('format')}, mode {found.get('mode')}, in {repository.location}")


def check_permissions(case: Case, facts: list[str]) -> None:
    """Check that the publisher may upload, and attach evidence if that is asked for.

    Raises:
        RegistryRefused: A permission is missing.
    """
    repository = _googles(case, case.target)
    with _quota_project_optional(case):
        granted = case.repository_api(repository).permitted((UPLOAD, DOWNLOAD))
    if granted is None:
        raise NotChecked("the API does not say; the upload will show")
    facts += [f"{name}: {'granted' if name in granted else 'not granted'}" for name in (UPLOAD, DOWNLOAD)]
    if UPLOAD not in granted:
        raise _explain_upload(case, repository, granted)
    if case.evidence:
        _check_evidence(case, repository, facts)


def check_source(case: Case, facts: list[str]) -> None:
    """Check that the publisher can read the repository to promote from.

    Raises:
        Failure: It cannot, or the repository has no Python packages of its own.
    """
    if case.promotes_from is None or case.source is None:
        raise NotChecked("there is no credential to read with")
    source = _googles(case, case.promotes_from)
    api = case.repository_api(source)
    api.check_source()
    with _quota_project_optional(case):
        granted = api.permitted((DOWNLOAD,))
    if granted is not None and DOWNLOAD not in granted:
        raise explain_denial(
            _NOT_ALLOWED,
            source,
            find_member(case),
            publishes=False,
            exists=api.takes_uploads(),
            granted=granted,
        )
    Access(case.source, source, case.index_token, case.context, case.session).files(_ANY)
    facts.append(f"{source} can be read")


def check_index(case: Case, facts: list[str]) -> None:
    """Check that the index can be read with the token of the install option.

    Raises:
        Failure: It cannot.
    """
    if case.credential is None:
        raise NotChecked("there is no credential to read with")
    try:
        access = open_for_reading(
            case.target, case.credential, case.index_token, case.context, case.session, publishes=True
        )
    except RegistryRefused as failure:
        if failure.anchor == "attributes-too-long":
            sizes = {name: len(str(value).encode()) for name, value in case.claims.items()}
            facts += [f"{name} has {sizes[name]} bytes" for name in sorted(sizes, key=sizes.__getitem__)[-3:]]
        raise
    facts.append("can be read")
    token = access.install_token()
    if token:
        scheme, _, rest = case.target.index_url.partition("://")
        facts.append(f"--extra-index-url {scheme}://{token.user}:***@{rest}")
        facts.append("has the publishing token" if access.reads_as_publisher else "has a read-only token")
        facts.append(f"expires at {rfc3339(token.expires_at)}" if token.expires_at else "its expiry is not known")


@contextmanager
def _quota_project_optional(case: Case) -> Iterator[None]:
    """Turn a refusal of a login's quota project into NotChecked, if the run needs only the registry's own host."""
    try:
        yield
    except RegistryRefused as failure:
        if failure.anchor != "quota-project" or case.evidence or OPTIONS["create-repository"].read(case.inputs):
            raise
        raise NotChecked(failure.brief) from None


def _googles(case: Case, repository: Repository) -> Repository:
    if repository.resource is None:
        raise NotChecked("not a repository of Artifact Registry")
    if isinstance(case.credential, KeyPassword):
        raise NotChecked("a key that is the password is sent only to the index")
    return repository


def _explain_repository(failure: Failure, case: Case, repository: Repository) -> Failure:
    if failure.anchor == "repository-missing":
        moved = why_name.explain_location(failure, case, repository)
        return moved or why_name.explain_spelling(failure, case, repository) or failure
    if failure.anchor not in {"repository-mode", "repository-format"}:
        return failure
    where = f"{repository.location}/{repository.project}/"
    for name in why_name.list_others(case, repository):
        if case.repository_api(why_name.rename(case, repository, name=name)).takes_uploads():
            fix = f"set `repository: {where}{name}`"
            break
    else:
        new = f"{repository.name}-python"
        fix = (
            f"create a repository for Python packages and set `repository: {where}{new}`\n  {repository.to_create(new)}"
        )
    if failure.anchor == "repository-mode":
        return failure.because(cause=failure.cause, fix=fix, anchor="repository-mode")
    return failure.because(cause="the format of a repository cannot be changed", fix=fix, anchor="repository-format")


def _check_evidence(case: Case, repository: Repository, facts: list[str]) -> None:
    granted = case.repository_api(repository).permitted(_ATTACH)
    if granted is None:
        facts.append("permissions to attach evidence: the API does not say")
        return
    facts += [f"{name}: {'granted' if name in granted else 'not granted'}" for name in _ATTACH]
    if missing := [name for name in _ATTACH if name not in granted]:
        member = find_member(case)
        raise RegistryRefused(
            f"{member if '@' in member else 'This identity'} may not attach evidence in {repository}.",
            cause=f"the identity lacks {', '.join(missing)}, which `sbom` and `provenance` need",
            fix=f"grant the role\n  {repository.to_grant(quoted(member), WRITER)}",
            anchor="evidence-403",
        )


def _explain_upload(case: Case, repository: Repository, granted: set[str]) -> Failure:
    failure = explain_denial(
        _NOT_ALLOWED, repository, find_member(case), publishes=True, exists=bool(case.described), granted=granted
    )
    if granted:
        return failure
    if not case.described and (moved := why_name.explain_location(failure, case, repository)):
        return moved
    for name in why_name.list_others(case, repository):
        if UPLOAD in (case.repository_api(why_name.rename(case, repository, name=name)).permitted((UPLOAD,)) or ()):
            return failure.because(
                cause=f"the identity has the role on another repository: it may upload to {name}",
                fix=failure.fix,
                anchor="registry-403",
            )
    return failure
