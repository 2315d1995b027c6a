from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from emulated import PUBLISHER, PYTHON, Local
from gar_emulator import World
from gar_emulator.world.iam import Binding
from gar_emulator.world.services import SERVICES

HOST = "serviceusage.googleapis.com"
OWNER = "user:owner@example.com"
ALL = "/v1/projects/demo-project/services"


@pytest.fixture
def local(start: Callable[..., Local], default: World) -> Local:
    (project,) = default.projects
    owner = Binding(OWNER, "roles/owner", "projects/demo-project")
    off = tuple(set(SERVICES) - {HOST})
    return start(
        replace(default, projects=(replace(project, disabled_services=off),), bindings=(*default.bindings, owner))
    )


def call(local: Local, method: str, path: str, **options: Any) -> Any:
    return local.api(method, HOST, path, local.token(OWNER), **options).json()


def states(local: Local) -> dict[str, str]:
    return {item["config"]["name"]: item["state"] for item in call(local, "GET", ALL)["services"]}


def test_services_are_enabled_and_disabled(local: Local) -> None:
    sts, iam = "sts.googleapis.com", "iam.googleapis.com"
    assert call(local, "POST", f"{ALL}/{sts}:enable")["done"]
    assert states(local)[sts] == "ENABLED"
    assert call(local, "POST", f"{ALL}/{sts}:enable")["name"] == "operations/noop.DONE_OPERATION"
    operation = call(local, "POST", f"{ALL}:batchEnable", json={"serviceIds": [sts, iam]})
    assert call(local, "GET", f"/v1/{operation['name']}")["done"]
    names = [f"projects/demo-project/services/{name}" for name in (sts, iam)]
    found = call(local, "GET", f"{ALL}:batchGet", params={"names": names})["services"]
    assert {item["state"] for item in found} == {"ENABLED"}
    call(local, "POST", f"{ALL}/{iam}:disable")
    assert call(local, "GET", f"{ALL}/{iam}")["state"] == "DISABLED"
    enabled = call(local, "GET", ALL, params={"filter": "state:ENABLED"})["services"]
    assert {item["config"]["name"] for item in enabled} == {HOST, sts}


def test_unknown_service(local: Local) -> None:
    error = call(local, "POST", f"{ALL}/none.googleapis.com:enable")["error"]
    assert (error["code"], error["details"][0]["metadata"]["services"]) == (403, "none.googleapis.com")


def test_other_callers_can_change_nothing(local: Local) -> None:
    answer = local.api("POST", HOST, f"{ALL}/sts.googleapis.com:enable", local.token())
    assert answer.status_code == 403
    assert states(local)["sts.googleapis.com"] == "DISABLED"


@pytest.mark.parametrize(
    ("method", "host", "path"),
    [
        ("GET", "artifactregistry.googleapis.com", f"/v1/{PYTHON}"),
        ("GET", "cloudresourcemanager.googleapis.com", "/v1/projects/123456789012"),
        ("GET", "iam.googleapis.com", "/v1/projects/demo-project/locations/global/workloadIdentityPools/github"),
        ("GET", "iam.googleapis.com", f"/v1/projects/-/serviceAccounts/{PUBLISHER}"),
        ("POST", "iamcredentials.googleapis.com", f"/v1/projects/-/serviceAccounts/{PUBLISHER}:generateAccessToken"),
    ],
)
def test_disabled_api_is_refused(local: Local, method: str, host: str, path: str) -> None:
    assert local.api(method, host, path).status_code == 401
    error = local.api(method, host, path, local.token(OWNER)).json()["error"]
    assert (error["code"], error["status"]) == (403, "PERMISSION_DENIED")
    assert SERVICES[host] in error["message"]
    (info,) = error["details"]
    assert info["reason"] == "SERVICE_DISABLED"
    assert (info["metadata"]["service"], info["metadata"]["consumer"]) == (host, "projects/123456789012")


def test_disabled_hosts_without_bearer_tokens(local: Local) -> None:
    exchange = local.exchange("anything")
    assert (exchange.status_code, exchange.json()["error"]["details"][0]["reason"]) == (403, "SERVICE_DISABLED")
    local.emulator.cloud.switch(texts="detailed")
    index = local.get("/demo-project/python/simple/any/", local.token())
    assert index.status_code == 403
    assert index.text.startswith("Artifact Registry API has not been used in project 123456789012 before")
