"""What IAM holds, seen with whatever credentials the machine has besides those that are examined.

https://cloud.google.com/iam/docs/reference/rest
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any
from urllib.parse import quote

from gar_publish.endpoints import Endpoints
from gar_publish.errors import Failure
from gar_publish.google_api import GoogleApi, json_object
from gar_publish.http import is_success


class Onlooker:
    """Sees what it may: each answer is None where it may not, or where there is nothing.

    Args:
        ambient: Makes the client of the machine's own credentials, if there are any; called once, when it is needed.
        endpoints: Google's hosts, or the emulator's.
    """

    def __init__(self, ambient: Callable[[], GoogleApi | None], endpoints: Endpoints) -> None:
        self.api = cache(ambient)
        self._get = cache(self._ask)
        self._iam = f"{endpoints.host('iam.googleapis.com')}/v1"
        self._projects = f"{endpoints.host('cloudresourcemanager.googleapis.com')}/v1/projects"

    def provider(self, name: str) -> Mapping[str, Any] | None:
        """A workload identity provider by its full name."""
        return self._get("GET", f"{self._iam}/{name}")

    def pool(self, name: str) -> Mapping[str, Any] | None:
        """A workload identity pool by its full name."""
        return self._get("GET", f"{self._iam}/{name}")

    def providers(self, pool: str) -> list[str]:
        """The ids of a pool's providers."""
        listed = self._get("GET", f"{self._iam}/{pool}/providers") or {}
        return [_id(each) for each in listed.get("workloadIdentityPoolProviders", [])]

    def pools(self, project: str) -> list[str]:
        """The ids of a project's pools."""
        listed = self._get("GET", f"{self._iam}/projects/{project}/locations/global/workloadIdentityPools") or {}
        return [_id(each) for each in listed.get("workloadIdentityPools", [])]

    def account(self, project: str, email: str) -> Mapping[str, Any] | None:
        """A service account."""
        return self._get("GET", f"{self._iam}/projects/{project}/serviceAccounts/{quote(email, safe='@')}")

    def accounts(self, project: str) -> list[str]:
        """The addresses of a project's service accounts."""
        listed = self._get("GET", f"{self._iam}/projects/{project}/serviceAccounts") or {}
        return [str(each.get("email", "")) for each in listed.get("accounts", [])]

    def members(self, project: str, email: str, roles: frozenset[str]) -> list[str] | None:
        """Who holds one of these roles on a service account itself."""
        policy = self._get(
            "POST", f"{self._iam}/projects/{project}/serviceAccounts/{quote(email, safe='@')}:getIamPolicy"
        )
        if policy is None:
            return None
        bindings = policy.get("bindings", [])
        return [str(member) for each in bindings if each.get("role") in roles for member in each.get("members", [])]

    def project_number(self, project: str) -> str | None:
        """The number of a project that is known by its id."""
        found = self._get("GET", f"{self._projects}/{project}") or {}
        return str(found["projectNumber"]) if "projectNumber" in found else None

    def _ask(self, method: str, url: str) -> Mapping[str, Any] | None:
        api = self.api()
        if api is None:
            return None
        try:
            response = api.call(method, url, what="look into IAM", json={} if method == "POST" else None)
            return json_object(response) if is_success(response) else None
        except Failure:
            return None


def _id(resource: Mapping[str, Any]) -> str:
    return str(resource.get("name", "")).rpartition("/")[2]
