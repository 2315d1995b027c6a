from collections.abc import Callable
from typing import Any

import pytest

from emulated import POOL, PUBLISHER, PYTHON, Local

OWNER = "user:owner@example.com"
JOBS = f"principalSet://{POOL}/attribute.repository_id/1"
HOSTS = {
    "artifactregistry.googleapis.com": PYTHON,
    "cloudresourcemanager.googleapis.com": "projects/demo-project",
    "iam.googleapis.com": f"projects/-/serviceAccounts/{PUBLISHER}",
}
ROLE = "roles/artifactregistry.reader"

each_host = pytest.mark.parametrize("host", HOSTS)


@pytest.fixture
def local(start_with: Callable[[str, str], Local]) -> Local:
    return start_with(OWNER, "roles/owner")


def read(local: Local, host: str, principal: str = OWNER) -> Any:
    method = "GET" if host.startswith("artifact") else "POST"
    return local.api(method, host, f"/v1/{HOSTS[host]}:getIamPolicy", local.token(principal)).json()


def write(local: Local, host: str, policy: Any, principal: str = OWNER) -> Any:
    path = f"/v1/{HOSTS[host]}:setIamPolicy"
    return local.api("POST", host, path, local.token(principal), json={"policy": policy}).json()


@each_host
def test_policy_can_be_read_and_written(local: Local, host: str) -> None:
    before = read(local, host)
    added = {"role": "roles/browser", "members": [JOBS, "user:a@example.com"]}
    written = write(local, host, {**before, "bindings": [*before["bindings"], added]})
    assert added in written["bindings"]
    assert read(local, host) == written
    assert written["etag"] != before["etag"]


@each_host
def test_policy_that_has_changed_is_not_overwritten(local: Local, host: str) -> None:
    stale = read(local, host)
    current = write(local, host, {"bindings": [*stale["bindings"], {"role": ROLE, "members": ["allUsers"]}]})
    refused = write(local, host, stale)["error"]
    assert (refused["code"], refused["status"]) == (409, "ABORTED")
    assert read(local, host) == current
    urlsafe = current["etag"].replace("+", "-").replace("/", "_")
    assert "error" not in write(local, host, {**stale, "etag": urlsafe})


@each_host
def test_other_callers_can_neither_read_nor_write(local: Local, host: str) -> None:
    before = read(local, host)
    assert read(local, host, PUBLISHER)["error"]["code"] == 403
    assert write(local, host, before, PUBLISHER)["error"]["code"] == 403


@pytest.mark.parametrize(
    ("member", "role", "said"),
    [
        ("serviceAccount:none@demo-project.iam.gserviceaccount.com", ROLE, "does not exist"),
        (JOBS.replace("/github/", "/gone/"), ROLE, "Identity Pool does not exist"),
        (JOBS.replace("123456789012", "demo-project"), ROLE, "Identity Pool does not exist"),
        ("somebody", ROLE, "Invalid member"),
        ("allUsers", "roles/none", "is not supported"),
    ],
)
def test_unknown_members_and_roles_are_refused(local: Local, member: str, role: str, said: str) -> None:
    host = "artifactregistry.googleapis.com"
    error = write(local, host, {"bindings": [{"role": role, "members": [member]}]})["error"]
    assert error["status"] == "INVALID_ARGUMENT"
    assert said in error["message"]


@pytest.mark.parametrize("policy", [None, "x", {"bindings": [{"role": ROLE, "members": [], "condition": {"x": 1}}]}])
def test_invalid_policy_is_refused(local: Local, policy: Any) -> None:
    assert write(local, "iam.googleapis.com", policy)["error"]["code"] == 400


def test_removed_role_is_gone(local: Local) -> None:
    host = "artifactregistry.googleapis.com"
    local.emulator.cloud.switch(root_index=True)
    token = local.token()
    index = "/demo-project/python/simple/"
    assert local.get(index, token).status_code == 200
    write(local, host, {"bindings": []})
    assert local.get(index, token).status_code == 403
