import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import requests

from emulated import READER, Local
from gar_emulator import World
from gar_emulator.world.iam import Binding

HOST = "artifactregistry.googleapis.com"
ADMIN = "user:admin@example.com"
PARENT = "projects/demo-project/locations/us-central1"


@pytest.fixture
def local(start: Callable[..., Local], default: World) -> Local:
    admin = Binding(ADMIN, "roles/artifactregistry.admin", "projects/demo-project")
    return start(replace(default, bindings=(*default.bindings, admin)))


def _call(local: Local, method: str, name: str, who: str = READER, **options: Any) -> requests.Response:
    return local.api(method, HOST, f"/v1/{name}", local.token(who), **options)


def test_creation_can_take_time(local: Local) -> None:
    local.emulator.cloud.switch(operation_seconds=0.3)
    create = ("POST", f"{PARENT}/repositories?repositoryId=slow", ADMIN)
    operation = _call(local, *create, json={"format": "PYTHON"}).json()["name"]
    assert "done" not in _call(local, "GET", operation, ADMIN).json()
    assert _call(local, "GET", f"{PARENT}/repositories/slow", ADMIN).status_code == 404
    assert _call(local, *create, json={"format": "PYTHON"}).status_code == 409
    deadline = time.monotonic() + 10
    while "done" not in _call(local, "GET", operation, ADMIN).json():
        assert time.monotonic() < deadline
    assert _call(local, "GET", f"{PARENT}/repositories/slow", ADMIN).status_code == 200


def test_unknown_operation(local: Local) -> None:
    assert _call(local, "GET", f"{PARENT}/operations/none").status_code == 404
