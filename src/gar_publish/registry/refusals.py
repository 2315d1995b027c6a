"""The registry's known refusals: what its answer says, what happened, the likely cause and the fix."""

import re
from dataclasses import dataclass

import requests

from gar_publish.auth.http_auth import login_of
from gar_publish.errors import CredentialsFailure, Failure, FileRefused, RegistryRefused
from gar_publish.settings.index_url import KEY_USER
from gar_publish.settings.repository import Repository
from gar_publish.transport.answers import server_text
from gar_publish.urls import host_of

_ROLES = {"read": "roles/artifactregistry.reader", "upload": "roles/artifactregistry.writer"}


@dataclass(frozen=True)
class Refusal:
    """One row: how the answer starts, as "STATUS TEXT" (a regular expression), and what that means.

    "key STATUS TEXT" is an answer to a request with a key as the password, and "redirected STATUS TEXT" one of the
    address that a download was redirected to.

    The texts may contain the names that `explain_refusal` fills in.
    """

    says: str
    what: str
    fix: str
    anchor: str
    cause: str = ""
    failure: type[Failure] = RegistryRefused


# docs/fidelity.md lists the statuses and texts.
REFUSALS = (
    Refusal(
        says=".*(SERVICE_DISABLED|has not been used in project)",
        what="The Artifact Registry API is disabled in this project.",
        fix="enable the API\n  gcloud services enable artifactregistry.googleapis.com --project={project}",
        anchor="api-disabled",
    ),
    Refusal(
        says="redirected",
        what="{host} redirects the download of {file} to an address that refuses it (HTTP {status}).",
        cause="the registry does not serve this file at the moment, or a proxy does not let addresses of several kB "
        "through; the role of the identity is not the cause",
        fix="run again later; if the registry refuses only this file, delete its version and publish it again",
        anchor="redirected-download",
        failure=FileRefused,
    ),
    Refusal(
        says="401",
        what="{host} does not accept the token (HTTP 401).",
        cause="the token has expired, is truncated, or was issued for another service",
        fix="run again with a fresh token\n  gcloud auth print-access-token",
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
        fix="ask the organisation's administrator to look up the identifier above, and to allow this identity\n"
        "  gcloud logging read IDENTIFIER --project={project}",
        anchor="perimeter",
    ),
    Refusal(
        says="403.*insufficient authentication scopes",
        what="{host} refuses to {action}: the token's scopes do not allow this (HTTP 403).",
        cause="the token lacks the scope https://www.googleapis.com/auth/cloud-platform, or this registry does not "
        "accept read-only tokens",
        fix="make the token with the scope cloud-platform; with `index-token: read-only`, use `index-token: auto`",
        anchor="registry-403",
    ),
    Refusal(
        says="403",
        what="{host} refuses to {action} (HTTP 403).",
        cause="the identity lacks {role} on this repository; Google also answers 403 where the repository does not "
        "exist, or is in another location or project",
        fix="{grant}",
        anchor="registry-403",
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
        fix="read the answer above; if it does not name the cause, run the doctor (in the action, add doctor: true to "
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
    elif response.status_code == requests.codes.unauthorized and login_of(response.request)[0] == KEY_USER:
        said = f"key {said}"
    known = next(each for each in REFUSALS if re.match(each.says, said, re.DOTALL))
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
        "role": _ROLES[action],
        "grant": f"grant the role\n  {repository.to_grant('MEMBER', _ROLES[action])}"
        if is_google
        else "ask the index's owner for access",
        "list": f"use one of the repositories that this lists\n  gcloud artifacts repositories list --project={project}"
        if is_google
        else "compare `repository` with the index's URL",
    }
    return known.failure(
        known.what.format_map(names),
        cause=known.cause.format_map(names),
        fix=known.fix.format_map(names),
        anchor=known.anchor,
        detail=detail or text,
    )
