import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from emulated import PUBLISHER, Clock, Local
from gar_emulator import World

SIMPLE = "/demo-project/python/simple/"


@pytest.mark.parametrize(
    "auth",
    [("oauth2accesstoken", "nonsense"), ("_json_key_base64", "nonsense"), ("_json_key", "{}"), ("__token__", "x")],
)
def test_bad_credentials(local: Local, wheel: Path, auth: tuple[str, str]) -> None:
    assert local.upload(wheel, auth=auth).status_code == 401
    assert local.get(SIMPLE, auth=auth).status_code == 401


def test_other_user_name_is_refused(local: Local) -> None:
    assert local.get(SIMPLE, auth=("__token__", local.token())).status_code == 401


def test_expired_token(local: Local, wheel: Path, clock: Clock) -> None:
    token = local.token(lifetime=60)
    clock.now += 60
    assert local.upload(wheel, token).status_code == 401


def test_key_as_password(local: Local, wheel: Path) -> None:
    key = base64.b64encode(local.emulator.key_file(PUBLISHER).read_bytes()).decode()
    assert local.upload(wheel, auth=("_json_key_base64", key)).status_code == 200
    forged = {**local.emulator.key(PUBLISHER), "private_key": "other"}
    other = base64.b64encode(json.dumps(forged).encode()).decode()
    assert local.get(SIMPLE, auth=("_json_key_base64", other)).status_code == 401


def test_bearer_token(local: Local, wheel: Path) -> None:
    headers = {"Authorization": f"Bearer {local.token()}"}
    assert local.upload(wheel, headers=headers).status_code == 200
    local.emulator.cloud.switch(bearer_tokens=False)
    assert local.get(SIMPLE, headers=headers).status_code == 401


def test_federated_token(local: Local, wheel: Path) -> None:
    token = local.exchange(local.id_token()).json()["access_token"]
    assert local.upload(wheel, token).status_code == 200
    local.emulator.cloud.switch(federated_tokens=False)
    assert local.get(SIMPLE, token).status_code == 401


def test_long_attributes_of_a_federated_token(local: Local, wheel: Path) -> None:
    job = local.id_token(environment="release", ref=f"refs/heads/{'x' * 200}")
    token = local.exchange(job).json()["access_token"]
    for answer in (local.upload(wheel, token), local.get(SIMPLE, token)):
        assert (answer.status_code, answer.text) == (400, "Request contains an invalid argument.\n")
    local.emulator.cloud.switch(attributes_limit=0)
    assert local.upload(wheel, token).status_code == 200


def test_disabled_account(start: Callable[..., Local], default: World) -> None:
    local = start(
        replace(default, accounts=tuple(replace(item, disabled=True) for item in default.accounts)), root_index=True
    )
    assert local.get(SIMPLE, local.token()).status_code == 401
