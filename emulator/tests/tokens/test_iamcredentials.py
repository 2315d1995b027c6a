from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import requests

from emulated import CLOUD_PLATFORM, PUBLISHER, READ_ONLY, READER, SCOPE, Clock, Local
from gar_emulator import World
from gar_emulator.world.iam import Binding

DENIED = {
    "error": {
        "code": 403,
        "message": "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).",
        "status": "PERMISSION_DENIED",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "IAM_PERMISSION_DENIED",
                "domain": "iam.googleapis.com",
                "metadata": {"permission": "iam.serviceAccounts.getAccessToken"},
            }
        ],
    }
}


def _federated(local: Local, scope: str = f"{SCOPE}iam") -> str:
    return str(local.exchange(local.id_token(), scope=scope).json()["access_token"])


def _ask(local: Local, token: str | None, account: str = PUBLISHER, **body: Any) -> requests.Response:
    path = f"/v1/projects/-/serviceAccounts/{account}:generateAccessToken"
    body = {"scope": [CLOUD_PLATFORM], "delegates": None, **body}
    return local.api("POST", "iamcredentials.googleapis.com", path, token, json=body)


def test_workflow_impersonates_the_account(local: Local, clock: Clock) -> None:
    answer = _ask(local, _federated(local), lifetime="600s", scope=[READ_ONLY])
    assert answer.status_code == 200
    end = datetime.strptime(answer.json()["expireTime"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert end == datetime.fromtimestamp(int(clock.now) + 600, UTC)
    who = local.emulator.cloud.identify(answer.json()["accessToken"])
    assert who
    assert (who.principal, who.scopes) == (f"serviceAccount:{PUBLISHER}", frozenset({READ_ONLY}))
    clock.now += 600
    assert local.emulator.cloud.identify(answer.json()["accessToken"]) is None


@pytest.mark.parametrize("account", [READER, "none@demo-project.iam.gserviceaccount.com", "none@elsewhere"])
def test_denied_and_missing_look_the_same(local: Local, account: str) -> None:
    answer = _ask(local, _federated(local), account)
    assert (answer.status_code, answer.json()) == (403, DENIED)


def test_disabled_account_is_denied(start: Callable[..., Local], default: World) -> None:
    accounts = tuple(replace(account, disabled=True) for account in default.accounts)
    local = start(replace(default, accounts=accounts))
    assert _ask(local, _federated(local)).status_code == 403


def test_caller_needs_the_scope(local: Local) -> None:
    assert _ask(local, _federated(local, CLOUD_PLATFORM)).status_code == 200
    answer = _ask(local, _federated(local, READ_ONLY))
    assert answer.status_code == 403
    assert answer.json()["error"]["message"] == "Request had insufficient authentication scopes."


@pytest.mark.parametrize("token", [None, "nonsense"])
def test_caller_needs_a_valid_token(local: Local, token: str | None) -> None:
    answer = _ask(local, token)
    assert (answer.status_code, answer.json()["error"]["status"]) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    "body",
    [{"scope": []}, {"scope": None}, {"scope": "x"}, {"lifetime": "soon"}, {"lifetime": "3601s"}, {"lifetime": 60}],
)
def test_arguments_are_checked(local: Local, body: dict[str, Any]) -> None:
    answer = _ask(local, _federated(local), **body)
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    if body.get("lifetime") == "3601s":
        assert answer.json()["error"]["message"] == "The access token lifetime cannot exceed 3600 seconds."


def test_body_must_be_json(local: Local) -> None:
    path = f"/v1/projects/-/serviceAccounts/{PUBLISHER}:generateAccessToken"
    for body in ("{", "[]", "[" * 100_000):
        answer = local.api("POST", "iamcredentials.googleapis.com", path, _federated(local), data=body)
        assert answer.status_code == 400


def test_delegates_form_a_chain(start: Callable[..., Local], default: World) -> None:
    resource = f"projects/demo-project/serviceAccounts/{READER}"
    creator = Binding(f"serviceAccount:{PUBLISHER}", "roles/iam.serviceAccountTokenCreator", resource)
    local = start(replace(default, bindings=(*default.bindings, creator)))
    through = [f"projects/-/serviceAccounts/{PUBLISHER}"]
    assert _ask(local, _federated(local), READER).status_code == 403
    assert _ask(local, _federated(local), READER, delegates=through).status_code == 200


def test_allowed_locations_answer(local: Local) -> None:
    paths = (
        f"/v1/projects/-/serviceAccounts/{PUBLISHER}/allowedLocations",
        "/v1/projects/123456789012/locations/global/workloadIdentityPools/github/allowedLocations",
    )
    for path in paths:
        answer = local.api("GET", "iamcredentials.googleapis.com", path, local.token())
        assert answer.json() == {"locations": [], "encodedLocations": "0x0"}
