"""The registry's known refusals: what its answer says, what happened, the likely cause and the fix."""

import re
import shlex
from collections.abc import Collection
from dataclasses import dataclass

import requests

from gar_publish.auth.http_auth import GCLOUD_PROJECT, QUOTA_HEADER, login_of
from gar_publish.auth.refusals import to_map_short_claims
from gar_publish.errors import CredentialsFailure, Failure, FileRefused, RegistryRefused
from gar_publish.settings.credential import name_of
from gar_publish.settings.index_url import KEY_USER
from gar_publish.settings.repository import Repository
from gar_publish.transport.answers import counted_for, server_text
from gar_publish.urls import host_of

UPLOAD = "artifactregistry.repositories.uploadArtifacts"
DOWNLOAD = "artifactregistry.repositories.downloadArtifacts"
READER = "roles/artifactregistry.reader"
WRITER = "roles/artifactregistry.writer"
"""https://cloud.google.com/artifact-registry/docs/access-control"""


@dataclass(frozen=True)
class Refusal:
    """One row: how the answer starts, as "STATUS TEXT" (a regular expression), and what that means.

    "key STATUS TEXT" is an answer to a request with a key as the password, "file STATUS TEXT" one to a download, and
    "redirected STATUS TEXT" one of the address that a download was redirected to.

    The texts may contain the names that `explain_refusal` fills in. `of_index` is for answers to index pages only. With
    `elsewhere`, it is an answer to a request that Google counts for another project, as far as the request tells.
    """

    says: str
    what: str
    fix: str
    anchor: str
    cause: str = ""
    elsewhere: bool = False
    of_index: bool = False
    failure: type[Failure] = RegistryRefused


# docs/fidelity.md lists the statuses and texts.
REFUSALS = (
    Refusal(
        says=".*(SERVICE_DISABLED|has not been used in project)",
        what="Google counts this login's requests for the project {consumer}, in which {service} is disabled.",
        cause="the login has no quota project, or one without this API",
        fix="set the quota project of the login\n  gcloud auth application-default set-quota-project {project}",
        anchor="quota-project",
        elsewhere=True,
    ),
    Refusal(
        says=".*(USER_PROJECT_DENIED|required permission to use project)",
        what="This login may not use its quota project, {consumer}.",
        cause="the login lacks roles/serviceusage.serviceUsageConsumer on that project",
        fix="set a quota project on which the login has that role\n"
        "  gcloud auth application-default set-quota-project PROJECT",
        anchor="quota-project",
    ),
    Refusal(
        says=".*(SERVICE_DISABLED|has not been used in project)",
        what="The Artifact Registry API is disabled in the project {consumer}.",
        fix="enable the API\n  gcloud services enable artifactregistry.googleapis.com --project={consumer}",
        anchor="api-disabled",
    ),
    Refusal(
        says="redirected",
        what="{host} redirects the download of {file} to an address that refuses it (HTTP {status}).",
        cause="the registry does not serve this file at the moment, or a proxy refuses addresses of several kB; the "
        "role of the identity is not the cause",
        fix="run again later; if the registry refuses only this file, delete its version and publish it again",
        anchor="redirected-download",
        failure=FileRefused,
    ),
    Refusal(
        says="401",
        what="{host} does not accept the token (HTTP 401).",
        cause="the token has expired, is truncated, or was issued for another service",
        fix="run again; if you give an `access-token`, give a fresh token\n  gcloud auth print-access-token",
        anchor="registry-401",
        failure=CredentialsFailure,
    ),
    Refusal(
        says="key 401",
        what="{host} does not accept the key (HTTP 401).",
        cause="the key or its service account was deleted or disabled",
        fix="create a new key\n  gcloud iam service-accounts keys create key.json --iam-account=ACCOUNT",
        anchor="registry-401",
        failure=CredentialsFailure,
    ),
    Refusal(
        says="403.*(vpcServiceControlsUniqueIdentifier|SECURITY_POLICY_VIOLATED)",
        what="{host} refuses to {action}: a service perimeter blocks the request (HTTP 403).",
        cause="the organisation's VPC Service Controls do not allow this identity from this network",
        fix="ask the organisation's administrator to look up the identifier in the answer, and to allow this identity\n"
        "  gcloud logging read IDENTIFIER --project={project}",
        anchor="perimeter",
    ),
    Refusal(
        says="403.*insufficient authentication scopes",
        what="{host} refuses to {action}: the token's scopes do not allow this (HTTP 403).",
        cause="the token lacks the scope https://www.googleapis.com/auth/cloud-platform, or this registry does not "
        "accept read-only tokens",
        fix="make the token with the scope cloud-platform; with `index-token: read-only`, use `index-token: auto`",
        anchor="token-scopes",
    ),
    Refusal(
        says="403",
        what="{host} refuses to {action} (HTTP 403).",
        cause="the identity has no role on the repository, or the name, the location or the project is wrong",
        fix="{list}",
        anchor="registry-403",
    ),
    Refusal(
        says="400",
        what="{host} refuses to read (HTTP 400).",
        cause="the repository has another format than Python, or the job's own identity has long attributes",
        fix="{list}",
        of_index=True,
        anchor="registry-400",
    ),
    Refusal(
        says="file 404",
        what="{host} does not serve {file}, which its index lists (HTTP 404).",
        cause="the file was deleted, or the registry does not serve it yet",
        fix="run again later; if the file is still missing, delete its version and publish it again",
        anchor="read-back",
        failure=FileRefused,
    ),
    Refusal(
        says="404",
        what="{host} does not have this repository (HTTP 404).",
        cause="a wrong project, location or repository name",
        fix="{list}",
        anchor="repository-missing",
    ),
    Refusal(
        says="413",
        what="{host} does not accept a file of this size (HTTP 413).",
        cause="the registry, or a proxy on the way to it, has a limit",
        fix="make the file smaller, or raise the limit of the proxy",
        anchor="file-too-large",
        failure=FileRefused,
    ),
    Refusal(
        says="3",
        what="{host} redirected this request (HTTP {status}); gar-publish does not send credentials to another "
        "address.",
        cause="the URL has no trailing slash, or a proxy answered",
        fix="set `repository` to LOCATION/PROJECT/REPOSITORY",
        anchor="redirect",
    ),
    Refusal(
        says="",
        what="{host} refused to {action} (HTTP {status}).",
        fix="read the answer; if it does not name the cause, run the doctor (in the action, add doctor: true to "
        "the step's `with:`)\n  gar-publish doctor",
        anchor="registry-refused",
        failure=FileRefused,
    ),
)


def explain_refusal(
    response: requests.Response, repository: Repository, action: str, detail: str = "", *, file: str = ""
) -> Failure:
    """Return the failure that explains an answer that is not a success.

    Args:
        response: The registry's answer.
        repository: The repository of the request.
        action: "read" or "upload".
        detail: The part of the answer to show; all of its text if empty.
        file: The name of the file that was to be downloaded, if any.
    """
    text = server_text(response)
    said = f"{response.status_code} {text}"
    asked = response.history[0].url if response.history else response.url
    if response.history and file:
        said = f"redirected {said}"
    elif response.status_code == requests.codes.not_found and file:
        said = f"file {said}"
    elif response.status_code == requests.codes.unauthorized and login_of(response.request)[0] == KEY_USER:
        said = f"key {said}"
    quota, consumer = response.request.headers.get(QUOTA_HEADER), counted_for(response)
    is_index = asked.startswith(repository.index_url)
    elsewhere = consumer == GCLOUD_PROJECT or quota not in {None, repository.project}
    known = next(
        each
        for each in REFUSALS
        if elsewhere >= each.elsewhere and is_index >= each.of_index and re.match(each.says, said, re.DOTALL)
    )
    if known.anchor == "redirect":
        detail = response.headers.get("Location", "").partition("?")[0]
    is_google, project = bool(repository.resource), repository.project or "PROJECT"
    is_here = is_google and asked.startswith(repository.upload_url)
    names = {
        "host": f"{repository.location}-python.pkg.dev" if is_here else host_of(asked),
        "file": file,
        "status": response.status_code,
        "action": action,
        "project": project,
        "consumer": consumer or quota or project,
        "service": next(iter(re.findall(r"[a-z]+\.googleapis\.com", text)), "the API"),
        "list": f"use one of the repositories that this lists\n  gcloud artifacts repositories list --project={project}"
        if is_google
        else "compare `repository` with the index's URL, or ask the index's owner for access",
    }
    return known.failure(
        known.what.format_map(names),
        cause=known.cause.format_map(names),
        fix=known.fix.format_map(names),
        anchor=known.anchor,
        detail=detail or text,
    )


def explain_denial(
    failure: Failure,
    repository: Repository,
    member: str,
    *,
    publishes: bool,
    exists: bool | None = None,
    granted: Collection[str] | None = None,
) -> Failure:
    """Return a 403 that gives no reason with what Artifact Registry's API tells.

    Args:
        failure: The refusal.
        repository: The repository that it is about.
        member: The identity, as IAM names it.
        publishes: Whether the identity has to upload, or only to read.
        exists: Whether the identity can see the repository; None if the API does not tell.
        granted: Those of `UPLOAD` and `DOWNLOAD` that it has; None if the API does not tell.
    """
    who, role = name_of(member), WRITER if publishes else READER
    needed = {UPLOAD, DOWNLOAD} if publishes else {DOWNLOAD}
    if needed <= set(granted or ()):
        return failure.because(
            cause=f"{who} has the permission: it is only some minutes old, or the token's scope, a service perimeter "
            "or a deny policy blocks the request",
            fix="run it again in some minutes; with `index-token: read-only`, use `index-token: auto`",
            anchor="registry-403",
        )
    member = shlex.quote(member)
    if exists or granted:
        return RegistryRefused(
            f"{who if '@' in who else who[0].upper() + who[1:]} may not {'upload to' if publishes else 'read'} "
            f"{repository}.",
            cause=f"the identity has only {READER}, so it can download but not upload"
            if granted and DOWNLOAD in granted
            else f"the identity lacks {role} on this repository",
            fix=f"grant the role\n  {repository.to_grant(member, role)}",
            anchor="registry-403",
            detail=failure.detail,
        )
    create = f"if it should be a new repository, create it\n  {repository.to_create()}\n" if publishes else ""
    is_known = exists is not None or granted is not None
    return RegistryRefused(
        f"No Python repository {repository.name} in {repository.location} that {who} can see."
        if is_known
        else failure.what,
        cause=f"{who} may have no role on the repository, or its name, its location or the project "
        f"{repository.project} is wrong: Google answers all of these with HTTP 403",
        fix="compare `repository` with the repositories that this lists\n"
        f"  gcloud artifacts repositories list --project={repository.project}\n"
        f"{create}grant the role on the right repository\n"
        "  gcloud artifacts repositories add-iam-policy-binding REPOSITORY --location=LOCATION "
        f"--project={repository.project} --member={member} --role={role}",
        anchor="registry-403",
        detail=failure.detail,
    )


def explain_long_attributes(failure: Failure, provider: str) -> Failure:
    """Return a 400 that gives no reason, to an identity of workload identity that is used directly."""
    return failure.because(
        cause="the mapped attributes of this job's identity are too long for Artifact Registry, as with a long branch "
        "name; a service account has none",
        fix="set `service-account`, or map short claims only; this replaces the whole mapping, so add the other "
        f"attributes that you use\n  {to_map_short_claims(provider)}",
        anchor="attributes-too-long",
    )
