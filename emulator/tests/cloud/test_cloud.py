"""The project whose quota a request to one of Google's APIs uses."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from emulated import PYTHON, Local

REGISTRY = ("artifactregistry.googleapis.com", f"/v1/{PYTHON}")
ACCOUNTS = ("iam.googleapis.com", "/v1/projects/demo-project/serviceAccounts")
USER = "dev@example.com"

each_api = pytest.mark.parametrize("api", [REGISTRY, ACCOUNTS], ids=["registry", "iam"])


@pytest.fixture
def local(start_with: Callable[[str, str], Local]) -> Local:
    """Start an emulator in which a user owns the project."""
    return start_with(f"user:{USER}", "roles/owner")


def ask(local: Local, api: tuple[str, str], *, quota: str = "") -> tuple[int, dict[str, Any]]:
    """Call an API with the user's login; return the status, and the metadata of a refusal."""
    login = local.emulator.login(USER)
    form = {**login, "grant_type": "refresh_token"}
    token = local.session.post(local.url("oauth2.googleapis.com", "/token"), data=form).json()["access_token"]
    answer = local.api("GET", *api, token, headers={"x-goog-user-project": quota} if quota else {})
    (info,) = answer.json().get("error", {}).get("details", [{}])
    return answer.status_code, {"reason": info.get("reason"), **info.get("metadata", {})}


@each_api
def test_a_login_without_a_quota_project_uses_that_of_gcloud(local: Local, api: tuple[str, str]) -> None:
    status, said = ask(local, api)
    assert (status, said["reason"], said["consumer"]) == (403, "SERVICE_DISABLED", "projects/764086051850")
    assert said["service"] == api[0]
    local.emulator.cloud.switch(quota_project=False)
    assert ask(local, api)[0] == 200


@each_api
@pytest.mark.parametrize("quota", ["demo-project", "123456789012"])
def test_the_named_project_is_used(local: Local, api: tuple[str, str], quota: str) -> None:
    assert ask(local, api, quota=quota)[0] == 200
    local.emulator.cloud.put(replace(local.emulator.cloud.world.projects[0], disabled_services=(api[0],)))
    assert ask(local, api, quota=quota)[1]["consumer"] == "projects/123456789012"


@each_api
def test_a_project_that_the_caller_may_not_use_is_refused(local: Local, api: tuple[str, str]) -> None:
    status, said = ask(local, api, quota="another-project")
    assert (status, said["reason"], said["consumer"]) == (403, "USER_PROJECT_DENIED", "projects/another-project")


def test_other_identities_need_none(local: Local) -> None:
    assert local.api("GET", *REGISTRY, local.token()).status_code == 200
    assert local.api("GET", *REGISTRY, local.token(f"user:{USER}")).status_code == 200
