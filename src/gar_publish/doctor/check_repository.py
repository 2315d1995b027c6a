"""The last links: the repository, the rights on it, and the index that others install from."""

from gar_publish.console import rfc3339
from gar_publish.doctor import why_name
from gar_publish.doctor.case import Case, NotChecked
from gar_publish.doctor.mending import mended, quoted
from gar_publish.doctor.principal import member
from gar_publish.errors import Failure, RegistryRefused
from gar_publish.registry.access import open_access, read_as
from gar_publish.registry.repository_api import DOWNLOAD, UPLOAD
from gar_publish.settings.credential import KeyPassword
from gar_publish.settings.repository import Repository

READER = "roles/artifactregistry.reader"
WRITER = "roles/artifactregistry.writer"
_ATTACH = tuple(
    f"artifactregistry.{name}"
    for name in ("attachments.create", "attachments.get", "files.download", "files.update", "files.upload")
)
"""What `attachments.py` calls."""
_ANY = "gar-publish"
"""A package to look up in an index, be it there or not."""


def check_repository(case: Case, facts: list[str]) -> None:
    """Whether it is there, and takes Python packages.

    Raises:
        RegistryRefused: It does not, or its API is switched off.
    """
    repository = _googles(case, case.target)
    try:
        found = case.repository_api(repository).describe()
        if found is None and (api := case.viewer.api()):
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
    repository = _googles(case, case.target)
    held = case.repository_api(repository).permitted((UPLOAD, DOWNLOAD))
    if held is None:
        raise NotChecked("the API does not tell; the upload itself will")
    facts += [f"{name}: {'held' if name in held else 'not held'}" for name in (UPLOAD, DOWNLOAD)]
    if UPLOAD not in held:
        raise _not_allowed(case, repository, reads=DOWNLOAD in held)
    if case.evidence:
        _check_evidence(case, repository, facts)


def check_source(case: Case, facts: list[str]) -> None:
    """Whether whoever publishes may read the repository that is promoted from.

    Raises:
        Failure: Not so, or it holds no Python packages of its own.
    """
    if case.promotes_from is None or case.source is None:
        raise NotChecked("nobody to read as")
    source = _googles(case, case.promotes_from)
    api = case.repository_api(source)
    api.check_source()
    held = api.permitted((DOWNLOAD,))
    if held is not None and DOWNLOAD not in held:
        raise _lacks(case, source, "read", READER, there=api.takes_uploads())
    read_as(case.source, source, case.index_token, case.context, case.session).files(_ANY)
    facts.append(f"{source} can be read")


def check_index(case: Case, facts: list[str]) -> None:
    """Whether the index can be read with the token that would be handed out.

    Raises:
        Failure: It cannot.
    """
    if case.credential is None:
        raise NotChecked("nobody to read as")
    access = open_access(case.target, case.credential, case.index_token, case.context, case.session)
    access.files(_ANY)
    facts.append("can be read")
    token = access.line_token()
    if token:
        scheme, _, rest = case.target.index_url.partition("://")
        facts.append(f"--extra-index-url {scheme}://{token.user}:***@{rest}")
        facts.append("carries the publishing token" if access.reads_as_publisher else "carries a read-only token")
        facts.append(f"good until {rfc3339(token.expires_at)}" if token.expires_at else "nobody says until when")


def _googles(case: Case, repository: Repository) -> Repository:
    if repository.resource is None:
        raise NotChecked("not a repository of Artifact Registry")
    if isinstance(case.credential, KeyPassword):
        raise NotChecked("a key that is the password is shown to the index alone")
    return repository


def _not_there(failure: Failure, case: Case, repository: Repository) -> Failure:
    """Where it is instead, or which one can be published to."""
    if failure.anchor == "repository-missing":
        return why_name.elsewhere(failure, case, repository) or why_name.misspelt(failure, case, repository) or failure
    if failure.anchor not in {"repository-mode", "repository-format"}:
        return failure
    where = f"{repository.location}/{repository.project}/"
    takes = [
        name
        for name in why_name.beside(case, repository)
        if case.repository_api(why_name.at(case, repository, name=name)).takes_uploads()
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


def _check_evidence(case: Case, repository: Repository, facts: list[str]) -> None:
    held = case.repository_api(repository).permitted(_ATTACH)
    if held is None:
        facts.append("to attach evidence: the API does not tell")
        return
    facts += [f"{name}: {'held' if name in held else 'not held'}" for name in _ATTACH]
    if missing := [name for name in _ATTACH if name not in held]:
        failure = _lacks(case, repository, "attach evidence in", WRITER, there=True)
        raise mended(
            failure,
            cause=f"the identity lacks {', '.join(missing)}, which attaching what `sbom` and `provenance` make takes",
            fix=failure.fix,
            anchor="evidence-403",
        )


def _not_allowed(case: Case, repository: Repository, *, reads: bool) -> Failure:
    failure = _lacks(case, repository, "upload to", WRITER, there=reads or bool(case.described))
    if reads:
        return mended(
            failure,
            cause="the identity holds the reader's role alone: it may download, and upload nothing",
            fix=failure.fix,
            anchor="registry-403",
        )
    if not case.described and (moved := why_name.elsewhere(failure, case, repository)):
        return moved
    for name in why_name.beside(case, repository):
        if UPLOAD in (case.repository_api(why_name.at(case, repository, name=name)).permitted((UPLOAD,)) or ()):
            return mended(
                failure,
                cause=f"the identity holds the role on another resource: it may upload to {name}",
                fix=failure.fix,
                anchor="registry-403",
            )
    return failure


def _lacks(case: Case, repository: Repository, to: str, role: str, *, there: bool) -> Failure:
    """Whoever publishes lacks a role; where nobody has seen the repository, it may as well not be there."""
    who = member(case)
    what = f"{who if '@' in who else 'Whoever publishes'} may not {to} {repository}."
    grant = f"give the identity the role\n  {repository.to_grant(quoted(who), role)}"
    if there:
        return RegistryRefused(
            what, cause=f"the identity lacks {role} on this repository", fix=grant, anchor="registry-403"
        )
    create = f"create it, if it is nowhere\n  {repository.to_create()}\n" if role == WRITER else ""
    return RegistryRefused(
        what,
        cause=f"there is no repository {repository.name} in {repository.location}, or the identity lacks {role} on it: "
        "Google answers both the same",
        fix="look whether it is there, in another location, or under another name\n"
        f"  gcloud artifacts repositories list --project={repository.project}\n{create}{grant}",
        anchor="registry-403",
    )
