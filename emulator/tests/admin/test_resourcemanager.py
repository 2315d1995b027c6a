from collections.abc import Callable

import pytest

from emulated import Local

HOST = "cloudresourcemanager.googleapis.com"


@pytest.fixture
def local(start_with: Callable[[str, str], Local]) -> Local:
    return start_with("user:dev@example.com", "roles/browser")


@pytest.mark.parametrize("name", ["demo-project", "123456789012"])
def test_project_by_id_or_number(local: Local, name: str) -> None:
    token = local.token("user:dev@example.com")
    old = local.api("GET", HOST, f"/v1/projects/{name}", token).json()
    assert (old["projectId"], old["projectNumber"]) == ("demo-project", "123456789012")
    new = local.api("GET", HOST, f"/v3/projects/{name}", token).json()
    assert (new["projectId"], new["name"]) == ("demo-project", "projects/123456789012")


def test_denied_and_missing_projects_look_the_same(local: Local) -> None:
    assert local.api("GET", HOST, "/v1/projects/demo-project", local.token()).status_code == 403
    assert local.api("GET", HOST, "/v1/projects/none", local.token("user:dev@example.com")).status_code == 403
    assert local.api("GET", HOST, "/v1/projects/demo-project").status_code == 401
