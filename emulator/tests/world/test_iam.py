import pytest

from emulated import CLOUD_PLATFORM, PYTHON, READ_ONLY, SCOPE
from gar_emulator.world.iam import ROLES, Binding, allowed, in_scope

UPLOAD = "artifactregistry.repositories.uploadArtifacts"
DOWNLOAD = "artifactregistry.repositories.downloadArtifacts"


@pytest.mark.parametrize(
    ("role", "held", "lacked"),
    [
        ("reader", DOWNLOAD, UPLOAD),
        ("writer", UPLOAD, "artifactregistry.versions.delete"),
        ("repoAdmin", "artifactregistry.versions.delete", "artifactregistry.repositories.create"),
        ("admin", "artifactregistry.repositories.create", "iam.serviceAccounts.getAccessToken"),
    ],
)
def test_each_role_adds_permissions(role: str, held: str, lacked: str) -> None:
    assert held in ROLES[f"roles/artifactregistry.{role}"]
    assert lacked not in ROLES[f"roles/artifactregistry.{role}"]


@pytest.mark.parametrize(
    ("resource", "covered"),
    [
        (PYTHON, True),
        (f"{PYTHON}/packages/x", True),
        (f"{PYTHON}-two", False),
        ("projects/demo-project", False),
        ("projects/demo-project-two/locations/us-central1/repositories/python", False),
    ],
)
def test_binding_covers_its_resource_and_those_below(resource: str, covered: bool) -> None:  # noqa: FBT001 - a table
    bindings = [Binding("user:a@example.com", "roles/artifactregistry.reader", PYTHON)]
    assert allowed(bindings, {"user:a@example.com"}, DOWNLOAD, resource) is covered
    assert not allowed(bindings, {"user:b@example.com"}, DOWNLOAD, resource)


@pytest.mark.parametrize(
    ("scope", "permission", "allowed"),
    [
        (CLOUD_PLATFORM, UPLOAD, True),
        (READ_ONLY, DOWNLOAD, True),
        (READ_ONLY, "artifactregistry.files.list", True),
        (READ_ONLY, UPLOAD, False),
        (READ_ONLY, "artifactregistry.versions.delete", False),
        (READ_ONLY, "iam.serviceAccounts.getAccessToken", False),
        (f"{SCOPE}iam", "iam.serviceAccounts.getAccessToken", True),
        (f"{SCOPE}iam", DOWNLOAD, False),
        (f"{SCOPE}userinfo.email", DOWNLOAD, False),
    ],
)
def test_scope_limits_permissions(scope: str, permission: str, allowed: bool) -> None:  # noqa: FBT001 - a table
    assert in_scope({scope}, permission) is allowed
