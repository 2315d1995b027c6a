"""What the registry's refusals mean.

Google's own words are kept as the detail of each failure; statuses and texts as `docs/fidelity.md` tells them.
"""

import re

import requests

from gar_publish.errors import CredentialsFailure, Failure, FileRefused, RegistryRefused
from gar_publish.urls import host_of

_ROLES = {"read": "roles/artifactregistry.reader", "upload": "roles/artifactregistry.writer"}
# A project of a domain (example.com:project) stands as two parts; no other project's id holds a dot.
_LOCATED = re.compile(r"([a-z0-9-]+)-python\.pkg\.dev/(?:([^/]+\.[^/]+)/)?([^/]+)/([^/]+)/")


def explain_refusal(response: requests.Response, detail: str, *, action: str) -> Failure:
    """Turn an answer that is not success into the failure that says what to do.

    Args:
        response: The registry's answer.
        detail: What it says, as `server_text` gives it.
        action: What was tried: "read" or "upload".
    """
    status = response.status_code
    host = _host(response)
    if is_disabled(detail):
        return api_disabled(_project(response), detail)
    match status:
        case 401:
            return CredentialsFailure(
                f"{host} does not accept the token (401).",
                cause="the token has expired, was cut off, or was made for something else; a key given as `json-key` "
                "may be deleted or disabled",
                fix="run again with a fresh token: gcloud auth print-access-token",
                anchor="registry-401",
                detail=detail,
            )
        case 403:
            return _forbidden(response, detail, action)
        case 404:
            return RegistryRefused(
                f"{host} does not have this repository (404).",
                cause="a wrong project, location or repository name",
                fix=_list(response),
                anchor="repository-missing",
                detail=detail,
            )
        case status if 300 <= status < 400:  # noqa: PLR2004 - the class of redirects
            return RegistryRefused(
                f"{host} sends this request elsewhere ({status}), and credentials follow no redirect.",
                cause="the URL lacks its last /, or a proxy stands in between",
                fix="give `repository` as LOCATION/PROJECT/REPOSITORY",
                anchor="redirect",
                detail=response.headers.get("Location", "").partition("?")[0],
            )
    return FileRefused(
        f"{host} refused to {action} (status {status}).",
        fix="read its answer above; if it says nothing, try again with `dry-run: true`",
        anchor="registry-refused",
        detail=detail,
    )


def is_disabled(text: str) -> bool:
    """Whether an answer says that the API is switched off."""
    return "SERVICE_DISABLED" in text or "has not been used in project" in text


def api_disabled(project: str, detail: str) -> Failure:
    """What is said where the API is switched off."""
    return RegistryRefused(
        "The Artifact Registry API is switched off in this project.",
        fix=f"gcloud services enable artifactregistry.googleapis.com --project={project}",
        anchor="api-disabled",
        detail=detail,
    )


def _forbidden(response: requests.Response, detail: str, action: str) -> Failure:
    host = _host(response)
    if "vpcServiceControlsUniqueIdentifier" in detail or "SECURITY_POLICY_VIOLATED" in detail:
        return RegistryRefused(
            f"{host} refuses to {action}: a service perimeter stands in between (403).",
            cause="VPC Service Controls of the organisation let nobody in from this network",
            fix="have its administrator look up the identifier above, and let this identity in: "
            f"gcloud logging read IDENTIFIER --project={_project(response)}",
            anchor="perimeter",
            detail=detail,
        )
    if "insufficient authentication scopes" in detail:
        return RegistryRefused(
            f"{host} refuses to {action}: the scopes of the token do not reach that far (403).",
            cause="the token was made for less than https://www.googleapis.com/auth/cloud-platform, or this registry "
            "takes no read-only ones",
            fix="make the token with the scope cloud-platform; under `index-token: read-only`, set that to auto",
            anchor="registry-403",
            detail=detail,
        )
    return RegistryRefused(
        f"{host} refuses to {action} (403).",
        cause=f"the identity lacks {_ROLES[action]} on this repository; Google answers the same where the "
        "repository does not exist, or lies in another location or project",
        fix=_grant(response, _ROLES[action]),
        anchor="registry-403",
        detail=detail,
    )


def _host(response: requests.Response) -> str:
    found = _LOCATED.search(response.url)
    return f"{found[1]}-python.pkg.dev" if found else host_of(response.url)


def _grant(response: requests.Response, role: str) -> str:
    found = _LOCATED.search(response.url)
    if not found:
        return "ask the owner of the index for access"
    location, _, _, name = found.groups()
    return (
        f"gcloud artifacts repositories add-iam-policy-binding {name} --location={location} "
        f"--project={_project(response)} --member=MEMBER --role={role}"
    )


def _list(response: requests.Response) -> str:
    if not _LOCATED.search(response.url):
        return "compare `repository` with the index's own address"
    return f"gcloud artifacts repositories list --project={_project(response)}"


def _project(response: requests.Response) -> str:
    """The project's id as gcloud takes it; the word PROJECT where the URL names none."""
    found = _LOCATED.search(response.url)
    if not found:
        return "PROJECT"
    return f"{found[2]}:{found[3]}" if found[2] else found[3]
