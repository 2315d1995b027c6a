"""Reads IAM with the machine's own credentials instead of the publisher's.

https://cloud.google.com/iam/docs/reference/rest
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from typing import Any
from urllib.parse import quote

import requests

from gar_publish.auth.http_auth import GCLOUD_PROJECT
from gar_publish.errors import Failure
from gar_publish.registry.google_api import GoogleApi, json_object
from gar_publish.settings.endpoints import Endpoints
from gar_publish.transport.answers import counted_for
from gar_publish.transport.session import is_success

_WITH_CONDITIONS = {"options.requestedPolicyVersion": "3"}
"""https://cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts/getIamPolicy"""


class Viewer:
    """Reads what it has permission for. If permission is missing or nothing is there, an answer is None or empty.

    Args:
        ambient: Opens the client of the machine's own credentials, if there are any; called at most once.
        endpoints: Google's hosts, or the emulator's.

    Attributes:
        unread: What it could not read, and the command that shows it.
        lacks_quota_project: Whether Google refused because the login names no project whose quota counts.
    """

    def __init__(self, ambient: Callable[[], GoogleApi | None], endpoints: Endpoints) -> None:
        self.api = cache(ambient)
        self.unread: dict[str, str] = {}
        self.lacks_quota_project = False
        self._get = cache(self._ask)
        self._endpoints = endpoints

    def provider(self, name: str) -> Mapping[str, Any] | None:
        """Return a workload identity provider by its full name."""
        return self._get(name, *_providers(name.partition("/providers/")[0]))

    def pool(self, name: str) -> Mapping[str, Any] | None:
        """Return a workload identity pool by its full name."""
        return self._get(name, *_pools(name.split("/")[1]))

    def providers(self, pool: str) -> list[str]:
        """Return the ids of a pool's providers."""
        listed = self._get(f"{pool}/providers", *_providers(pool)) or {}
        return [_id(each) for each in listed.get("workloadIdentityPoolProviders", [])]

    def pools(self, project: str) -> list[str]:
        """Return the ids of a project's pools."""
        listed = self._get(f"projects/{project}/locations/global/workloadIdentityPools", *_pools(project)) or {}
        return [_id(each) for each in listed.get("workloadIdentityPools", [])]

    def account(self, project: str, email: str) -> Mapping[str, Any] | None:
        """Return a service account."""
        return self._get(_account(project, email), *_accounts(project))

    def accounts(self, project: str) -> list[str]:
        """Return the addresses of a project's service accounts."""
        listed = self._get(f"projects/{project}/serviceAccounts", *_accounts(project)) or {}
        return [str(each.get("email", "")) for each in listed.get("accounts", [])]

    def members(self, project: str, email: str, roles: frozenset[str]) -> dict[str, str] | None:
        """Return the members that have one of these roles on a service account, each with its condition or ""."""
        policy = self._get(
            f"{_account(project, email)}:getIamPolicy",
            f"the bindings of the account {email}",
            f"gcloud iam service-accounts get-iam-policy {email} --project={project}",
        )
        if policy is None:
            return None
        found: dict[str, str] = {}
        for binding in policy.get("bindings", []):
            if binding.get("role") in roles:
                condition = str(binding.get("condition", {}).get("expression", ""))
                found |= {str(each): condition and found.get(each, condition) for each in binding.get("members", [])}
        return found

    def project_number(self, project: str) -> str | None:
        """Return the number of the project with this id."""
        found = self._get(
            f"{self._endpoints.resource_manager}/projects/{project}",
            f"the number of the project {project}",
            f"gcloud projects describe {project} --format='value(projectNumber)'",
        )
        return str(found["projectNumber"]) if found and "projectNumber" in found else None

    def _ask(self, path: str, what: str, shown_by: str) -> Mapping[str, Any] | None:
        """Ask IAM for a path, or another API for a whole URL."""
        policy = path.endswith(":getIamPolicy")
        if api := self.api():
            with suppress(Failure):
                response = api.call(
                    "POST" if policy else "GET",
                    path if "://" in path else f"{self._endpoints.iam}/{path}",
                    what="read IAM",
                    params=_WITH_CONDITIONS if policy else None,
                    json={} if policy else None,
                )
                if is_success(response):
                    return json_object(response)
                if response.status_code == requests.codes.not_found:
                    return None
                self.lacks_quota_project |= counted_for(response) == GCLOUD_PROJECT
        self.unread[what] = shown_by
        return None


def _providers(pool: str) -> tuple[str, str]:
    what = f"the providers of the pool {pool.rpartition('/')[2]}, with conditions and mappings"
    return what, f"gcloud iam workload-identity-pools providers list --workload-identity-pool={pool} --show-deleted"


def _pools(project: str) -> tuple[str, str]:
    where = f"projects/{project}/locations/global"  # --project takes no number
    return (
        f"the pools of the project {project}",
        f"gcloud iam workload-identity-pools list --location={where} --show-deleted",
    )


def _accounts(project: str) -> tuple[str, str]:
    return f"the accounts of the project {project}", f"gcloud iam service-accounts list --project={project}"


def _account(project: str, email: str) -> str:
    return f"projects/{project}/serviceAccounts/{quote(email, safe='@')}"


def _id(resource: Mapping[str, Any]) -> str:
    return str(resource.get("name", "")).rpartition("/")[2]
