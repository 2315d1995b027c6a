from collections.abc import Callable
from typing import Any

import pytest

from emulated import AUDIENCE, Local

HOST = "iam.googleapis.com"
OWNER = "user:owner@example.com"
POOLS = "/v1/projects/demo-project/locations/global/workloadIdentityPools"
PROVIDERS = f"{POOLS}/github/providers"
ISSUER = "https://token.actions.githubusercontent.com"
GOOD = {
    "attributeMapping": {"google.subject": "assertion.repository_id"},
    "attributeCondition": "assertion.repository_owner == 'octo-org'",
    "oidc": {"issuerUri": ISSUER},
}


@pytest.fixture
def local(start_with: Callable[[str, str], Local]) -> Local:
    return start_with(OWNER, "roles/iam.workloadIdentityPoolAdmin")


def call(local: Local, method: str, path: str, **options: Any) -> Any:
    return local.api(method, HOST, path, local.token(OWNER), **options).json()


def make(local: Local, id_: str = "other", **changes: Any) -> Any:
    params = {"workloadIdentityPoolProviderId": id_}
    return call(local, "POST", PROVIDERS, params=params, json={**GOOD, **changes})


def test_pool_is_created_changed_deleted_and_restored(local: Local) -> None:
    params = {"workloadIdentityPoolId": "other-pool"}
    one = f"{POOLS}/other-pool"
    assert call(local, "GET", one)["error"]["status"] == "NOT_FOUND"
    operation = call(local, "POST", POOLS, params=params, json={"displayName": "Other"})
    assert call(local, "GET", f"/v1/{operation['name']}")["done"]
    name = "projects/123456789012/locations/global/workloadIdentityPools/other-pool"
    assert call(local, "GET", one) == {"name": name, "state": "ACTIVE", "displayName": "Other"}
    assert call(local, "POST", POOLS, params=params, json={})["error"]["status"] == "ALREADY_EXISTS"
    call(local, "PATCH", one, params={"updateMask": "displayName,disabled"}, json={"disabled": True})
    assert call(local, "GET", one) == {"name": name, "state": "ACTIVE", "disabled": True}
    call(local, "DELETE", one)
    assert call(local, "GET", one)["state"] == "DELETED"
    assert len(call(local, "GET", POOLS)["workloadIdentityPools"]) == 1
    assert len(call(local, "GET", POOLS, params={"showDeleted": "true"})["workloadIdentityPools"]) == 2
    assert call(local, "POST", POOLS, params=params, json={})["error"]["status"] == "ALREADY_EXISTS"
    assert call(local, "PATCH", one, json={"disabled": False})["error"]["status"] == "FAILED_PRECONDITION"
    call(local, "POST", f"{one}:undelete")
    assert call(local, "GET", one)["state"] == "ACTIVE"


def test_provider_controls_access(local: Local) -> None:
    make(local)
    audience = AUDIENCE.replace("providers/github", "providers/other")
    token = local.id_token(f"https:{audience}")
    assert local.exchange(token, audience=audience).status_code == 200
    one = f"{PROVIDERS}/other"
    condition = {"attributeCondition": "assertion.repository_owner == 'somebody'"}
    call(local, "PATCH", one, params={"updateMask": "attributeCondition"}, json=condition)
    assert local.exchange(token, audience=audience).json()["error"] == "unauthorized_client"
    shown = call(local, "GET", one)
    assert shown["attributeCondition"] == condition["attributeCondition"]
    assert shown["attributeMapping"] == GOOD["attributeMapping"]
    call(local, "PATCH", one, json={**GOOD, "oidc": {"allowedAudiences": ["https://mine"]}})
    assert local.exchange(token, audience=audience).json()["error"] == "invalid_grant"
    assert local.exchange(local.id_token("https://mine"), audience=audience).status_code == 200
    for change in ({"disabled": True}, {"disabled": False}):
        call(local, "PATCH", one, json=change)
        answer = local.exchange(local.id_token("https://mine"), audience=audience)
        assert answer.json().get("error") == ("invalid_target" if change["disabled"] else None)
    call(local, "DELETE", one)
    assert local.exchange(local.id_token("https://mine"), audience=audience).json()["error"] == "invalid_target"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"attributeCondition": ""}, "must reference one of the provider's claims"),
        ({"attributeCondition": "true"}, "must reference one of the provider's claims"),
        ({"attributeCondition": "assertion.x =="}, "Invalid expression"),
        ({"attributeMapping": {"attribute.x": "assertion.x"}}, "google.subject"),
        ({"attributeMapping": {"google.subject": "assertion.sub", "X": "assertion.x"}}, "nothing but"),
        ({"oidc": {"issuerUri": "http://example.com"}}, "issuer"),
        ({"displayName": "x" * 33}, "invalid argument"),
    ],
)
def test_bad_provider_is_refused(local: Local, changes: dict[str, Any], said: str) -> None:
    error = make(local, **changes)["error"]
    assert error["status"] == "INVALID_ARGUMENT"
    assert said in error["message"]
    assert call(local, "GET", f"{PROVIDERS}/other")["error"]["status"] == "NOT_FOUND"


@pytest.mark.parametrize("id_", ["", "abc", "gcp-mine", "Upper", "x" * 33])
def test_bad_ids_are_refused(local: Local, id_: str) -> None:
    assert make(local, id_)["error"]["status"] == "INVALID_ARGUMENT"


def test_provider_of_a_missing_pool(local: Local) -> None:
    params = {"workloadIdentityPoolProviderId": "other"}
    assert call(local, "POST", f"{POOLS}/none/providers", params=params, json=GOOD)["error"]["status"] == "NOT_FOUND"
    assert call(local, "PATCH", f"{PROVIDERS}/github", params={"updateMask": "x"}, json={})["error"]["code"] == 400


def test_other_callers_see_nothing(local: Local) -> None:
    assert local.api("GET", HOST, POOLS, local.token()).status_code == 403
    assert local.api("GET", HOST, f"{POOLS}/none", local.token()).status_code == 403
