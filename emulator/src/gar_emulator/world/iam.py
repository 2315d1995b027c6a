"""Roles, permissions, scopes and bindings."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

_READ = frozenset(
    f"artifactregistry.{permission}"
    for permission in (
        "attachments.get",
        "attachments.list",
        "files.download",
        "files.get",
        "files.list",
        "locations.get",
        "locations.list",
        "packages.get",
        "packages.list",
        "pythonpackages.get",
        "pythonpackages.list",
        "repositories.downloadArtifacts",
        "repositories.get",
        "repositories.list",
        "versions.get",
        "versions.list",
    )
)
_WRITE = _READ | {
    f"artifactregistry.{permission}"
    for permission in ("attachments.create", "files.update", "files.upload", "repositories.uploadArtifacts")
}
_DELETE = _WRITE | {f"artifactregistry.{kind}.delete" for kind in ("attachments", "files", "packages", "versions")}
_POLICY = frozenset({"getIamPolicy", "setIamPolicy"})


def _all(kind: str, *verbs: str) -> frozenset[str]:
    return frozenset(f"{kind}.{verb}" for verb in verbs)


_ADMIN = _DELETE | _all("artifactregistry.repositories", "create", "delete", "update")
_ADMIN_POLICY = _all("artifactregistry.repositories", *_POLICY)
_PROJECT = frozenset({"resourcemanager.projects.get"})
_PROJECT_POLICY = _all("resourcemanager.projects", *_POLICY)
_IMPERSONATE = frozenset({"iam.serviceAccounts.getAccessToken"})
_SERVICES_READ = _all("serviceusage.services", "get", "list")
_CONSUMER = _SERVICES_READ | _all("serviceusage.services", "use")
_SERVICES = _CONSUMER | _all("serviceusage.services", "disable", "enable")
_POOLS_READ = _all("iam.workloadIdentityPools", "get", "list") | _all(
    "iam.workloadIdentityPoolProviders", "get", "list"
)
_POOLS = _POOLS_READ | frozenset(
    f"iam.{kind}.{verb}"
    for kind in ("workloadIdentityPools", "workloadIdentityPoolProviders")
    for verb in ("create", "delete", "undelete", "update")
)
_ACCOUNTS_READ = _all("iam.serviceAccounts", "get", "list")
_ACCOUNTS = _ACCOUNTS_READ | _all("iam.serviceAccounts", "create", "delete", "disable", "enable", "update")
_KEYS = frozenset({"iam.serviceAccountKeys.create"})
_ACCOUNTS_POLICY = _all("iam.serviceAccounts", *_POLICY)
_VIEWER = _READ | _PROJECT | _SERVICES_READ | _POOLS_READ | _ACCOUNTS_READ
_EDITOR = _VIEWER | _ADMIN | _SERVICES | _ACCOUNTS | _KEYS

#: The permissions that the emulator checks: https://cloud.google.com/iam/docs/roles-permissions
ROLES: dict[str, frozenset[str]] = {
    "roles/artifactregistry.reader": _READ,
    "roles/artifactregistry.writer": _WRITE,
    "roles/artifactregistry.createOnPushWriter": _WRITE,
    "roles/artifactregistry.repoAdmin": _DELETE,
    "roles/artifactregistry.admin": _ADMIN | _ADMIN_POLICY,
    "roles/browser": _PROJECT,
    "roles/viewer": _VIEWER,
    "roles/editor": _EDITOR,
    "roles/owner": _EDITOR | _ADMIN_POLICY | _PROJECT_POLICY | _POOLS | _ACCOUNTS_POLICY,
    "roles/iam.serviceAccountAdmin": _ACCOUNTS | _ACCOUNTS_POLICY | _PROJECT,
    "roles/iam.serviceAccountKeyAdmin": _KEYS | _PROJECT,
    "roles/iam.serviceAccountTokenCreator": _IMPERSONATE,
    "roles/iam.serviceAccountViewer": _ACCOUNTS_READ | {"iam.serviceAccounts.getIamPolicy"} | _PROJECT,
    "roles/iam.workloadIdentityPoolAdmin": _POOLS | _PROJECT,
    "roles/iam.workloadIdentityPoolViewer": _POOLS_READ | _PROJECT,
    "roles/iam.workloadIdentityUser": _IMPERSONATE,
    "roles/resourcemanager.projectIamAdmin": _PROJECT | _PROJECT_POLICY,
    "roles/serviceusage.serviceUsageAdmin": _SERVICES,
    "roles/serviceusage.serviceUsageConsumer": _CONSUMER,
    "roles/serviceusage.serviceUsageViewer": _SERVICES_READ,
}

SCOPE = "https://www.googleapis.com/auth/"
CLOUD_PLATFORM = f"{SCOPE}cloud-platform"
READ_ONLY = f"{SCOPE}cloud-platform.read-only"
IAM = f"{SCOPE}iam"


@dataclass(frozen=True)
class Binding:
    """A role of a member on a resource and on everything below it.

    Attributes:
        member: `serviceAccount:EMAIL`, `user:EMAIL`, `principal://…`, `principalSet://…`, `allUsers` or
            `allAuthenticatedUsers`.
        role: `roles/…`.
        resource: `projects/P`, `projects/P/locations/L/repositories/R` or `projects/P/serviceAccounts/EMAIL`.
    """

    member: str
    role: str
    resource: str

    def covers(self, resource: str) -> bool:
        return f"{resource}/".startswith(f"{self.resource}/")


def allowed(bindings: Iterable[Binding], members: Collection[str], permission: str, resource: str) -> bool:
    """Return whether one of the members has the permission on the resource."""
    return any(
        binding.member in members and permission in ROLES[binding.role] and binding.covers(resource)
        for binding in bindings
    )


def in_scope(scopes: Collection[str], permission: str) -> bool:
    """Return whether the scopes of a token include the permission.

    https://developers.google.com/identity/protocols/oauth2/scopes
    """
    if CLOUD_PLATFORM in scopes:
        return True
    if permission.startswith("iam."):
        return IAM in scopes
    return READ_ONLY in scopes and permission in ROLES["roles/viewer"]
