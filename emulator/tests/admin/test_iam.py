import base64
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from emulated import CLOUD_PLATFORM, PUBLISHER, Local
from gar_emulator.tokens import oauth

HOST = "iam.googleapis.com"
OWNER = "user:owner@example.com"
ACCOUNTS = "/v1/projects/demo-project/serviceAccounts"
MADE = "made-here@demo-project.iam.gserviceaccount.com"


@pytest.fixture
def local(start_with: Callable[[str, str], Local]) -> Local:
    return start_with(OWNER, "roles/iam.serviceAccountAdmin")


def call(local: Local, method: str, path: str, **options: Any) -> Any:
    return local.api(method, HOST, path, local.token(OWNER), **options).json()


def test_account_is_created_disabled_enabled_and_deleted(local: Local) -> None:
    body = {"accountId": "made-here", "serviceAccount": {"displayName": "Made"}}
    assert call(local, "POST", ACCOUNTS, json=body)["email"] == MADE
    assert call(local, "POST", ACCOUNTS, json=body)["error"]["status"] == "ALREADY_EXISTS"
    one = f"/v1/projects/-/serviceAccounts/{MADE}"
    assert call(local, "GET", one)["displayName"] == "Made"
    assert [item["email"] for item in call(local, "GET", ACCOUNTS)["accounts"]][-1] == MADE
    call(local, "POST", f"{one}:disable")
    assert call(local, "GET", one)["disabled"]
    call(local, "POST", f"{one}:enable")
    assert "disabled" not in call(local, "GET", one)
    call(local, "DELETE", one)
    assert call(local, "GET", one)["error"]["status"] == "NOT_FOUND"


def test_disabled_account_cannot_publish(local: Local) -> None:
    local.emulator.cloud.switch(root_index=True)
    token = local.token()
    assert local.get("/demo-project/python/simple/", token).status_code == 200
    call(local, "POST", f"{ACCOUNTS}/{PUBLISHER}:disable")
    assert local.get("/demo-project/python/simple/", token).status_code == 401


@pytest.mark.parametrize("name", ["", "short", "Upper-case", "x" * 31])
def test_bad_names_are_refused(local: Local, name: str) -> None:
    assert call(local, "POST", ACCOUNTS, json={"accountId": name})["error"]["status"] == "INVALID_ARGUMENT"


def test_other_callers_see_nothing(local: Local) -> None:
    assert local.api("GET", HOST, f"{ACCOUNTS}/{PUBLISHER}", local.token()).status_code == 403
    assert local.api("GET", HOST, f"{ACCOUNTS}/none@x.iam.gserviceaccount.com", local.token(OWNER)).status_code == 403
    assert local.api("POST", HOST, ACCOUNTS, local.token(), json={"accountId": "made-here"}).status_code == 403


def test_created_key_gives_a_token(start_with: Callable[[str, str], Local]) -> None:
    local = start_with(OWNER, "roles/owner")
    call(local, "POST", ACCOUNTS, json={"accountId": "made-here"})
    made = call(local, "POST", f"{ACCOUNTS}/{MADE}/keys")
    content = json.loads(base64.b64decode(made["privateKeyData"]))
    assert (content["client_email"], content["type"]) == (MADE, "service_account")
    assert oauth.check(local.emulator.cloud, assertion(content))[0] == MADE
    assert local.api("POST", HOST, f"{ACCOUNTS}/{MADE}/keys", local.token()).status_code == 403


def assertion(key: dict[str, str]) -> str:
    now = int(time.time())
    claims = {"iss": MADE, "aud": key["token_uri"], "scope": CLOUD_PLATFORM, "iat": now, "exp": now + 60}
    return jwt.encode(claims, key["private_key"], "RS256", headers={"kid": key["private_key_id"]})
