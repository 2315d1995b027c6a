import base64
import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from emulated import PYTHON, READ_ONLY, READER, Local

HOST = "artifactregistry.googleapis.com"
ADMIN = "user:admin@example.com"
PARENT = "projects/demo-project/locations/us-central1"


@pytest.fixture
def local(start_with: Callable[[str, str], Local]) -> Local:
    return start_with(ADMIN, "roles/artifactregistry.admin")


def _call(local: Local, method: str, name: str, who: str = READER, **options: Any) -> requests.Response:
    return local.api(method, HOST, f"/v1/{name}", local.token(who), **options)


def _names(local: Local, name: str, kind: str, **query: str) -> list[str]:
    answer = _call(local, "GET", name, params=query)
    assert answer.status_code == 200
    return [item["name"].removeprefix(f"{PYTHON}/") for item in answer.json().get(kind, [])]


def _finished(local: Local, started: requests.Response) -> dict[str, Any]:
    assert started.status_code == 200
    assert "done" not in started.json()
    answer: dict[str, Any] = _call(local, "GET", started.json()["name"]).json()
    assert answer["done"] is True
    return dict(answer["response"])


# Repositories


def test_repository(local: Local, wheels: list[Path]) -> None:
    body = _call(local, "GET", PYTHON).json()
    assert (body["name"], body["format"], body["mode"]) == (PYTHON, "PYTHON", "STANDARD_REPOSITORY")
    assert body["registryUri"] == "us-central1-python.pkg.dev/demo-project/python"
    assert body["sizeBytes"] == str(sum(wheel.stat().st_size for wheel in wheels))


@pytest.mark.usefixtures("wheels")
def test_admin_deletes_a_repository_with_its_files_and_policy(local: Local) -> None:
    assert _call(local, "DELETE", PYTHON).status_code == 403
    _finished(local, _call(local, "DELETE", PYTHON, ADMIN))
    assert _call(local, "GET", PYTHON, ADMIN).status_code == 404
    body = {"format": "PYTHON"}
    _finished(local, _call(local, "POST", f"{PARENT}/repositories?repositoryId=python", ADMIN, json=body))
    assert _call(local, "GET", f"{PYTHON}/files", ADMIN).json() == {}
    assert _call(local, "GET", PYTHON).status_code == 403


def test_admin_creates_a_repository_that_survives_a_restart(local: Local, start: Callable[..., Local]) -> None:
    path = f"{PARENT}/repositories?repositoryId=new"
    body = {"format": "PYTHON", "description": "made here"}
    assert _call(local, "POST", path, json=body).status_code == 403
    response = _finished(local, _call(local, "POST", path, ADMIN, json=body))
    assert response["name"] == f"{PARENT}/repositories/new"
    assert response["description"] == "made here"
    assert _call(local, "POST", path, ADMIN, json=body).status_code == 409
    again = start(local.emulator.cloud.world)
    assert _call(again, "GET", f"{PARENT}/repositories/new", ADMIN).json()["mode"] == "STANDARD_REPOSITORY"
    listed = _call(again, "GET", f"{PARENT}/repositories", ADMIN).json()["repositories"]
    assert [item["name"].rpartition("/")[2] for item in listed] == ["new", "python"]


def test_admin_updates_a_repository_of_the_world_file(local: Local, start: Callable[..., Local]) -> None:
    policy = {"id": "old", "action": "DELETE", "condition": {"tagState": "ANY", "olderThan": "2592000s"}}
    body = {"labels": {"team": "a"}, "cleanupPolicies": {"old": policy}, "description": "not in the mask"}
    patch = ("PATCH", f"{PYTHON}?updateMask=labels,cleanupPolicies")
    assert _call(local, *patch, json=body).status_code == 403
    answer = _call(local, *patch, ADMIN, json=body).json()
    assert (answer["labels"], answer["cleanupPolicies"]) == ({"team": "a"}, {"old": policy})
    assert "description" not in answer
    assert _call(start(local.emulator.cloud.world), "GET", PYTHON).json() == answer
    for wrong in ("", "?updateMask=format", "?updateMask=labels"):
        assert _call(local, "PATCH", f"{PYTHON}{wrong}", ADMIN, json={"labels": "a"}).status_code == 400
    assert "labels" not in _call(local, "PATCH", f"{PYTHON}?updateMask=labels", ADMIN, json={}).json()


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("Bad_Name", {"format": "PYTHON"}),
        ("", {"format": "PYTHON"}),
        ("x", {}),
        ("x", {"format": "PYTHON", "mode": "M"}),
    ],
)
def test_invalid_repository_is_refused(local: Local, name: str, body: dict[str, str]) -> None:
    answer = _call(local, "POST", f"{PARENT}/repositories?repositoryId={name}", ADMIN, json=body)
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_missing_repository(local: Local) -> None:
    missing = f"{PARENT}/repositories/none"
    assert _call(local, "GET", missing, ADMIN).status_code == 404
    answer = _call(local, "GET", missing)
    assert answer.status_code == 403
    (detail,) = answer.json()["error"]["details"]
    assert detail["reason"] == "IAM_PERMISSION_DENIED"
    assert detail["metadata"] == {"permission": "artifactregistry.repositories.get", "resource": missing}
    local.emulator.cloud.switch(missing_repository="404")
    assert _call(local, "GET", missing).status_code == 404


def test_test_iam_permissions(local: Local) -> None:
    asked = {
        "permissions": [
            "artifactregistry.repositories.uploadArtifacts",
            "artifactregistry.repositories.downloadArtifacts",
        ]
    }
    assert _call(local, "POST", f"{PYTHON}:testIamPermissions", json=asked).json() == {
        "permissions": ["artifactregistry.repositories.downloadArtifacts"]
    }
    assert _call(local, "POST", f"{PYTHON}:testIamPermissions", "user:x@example.com", json=asked).json() == {}
    missing = f"{PARENT}/repositories/none:testIamPermissions"
    assert _call(local, "POST", missing, json=asked).json() == {}
    assert _call(local, "POST", missing, ADMIN, json=asked).status_code == 404


def test_credentials_and_scopes(local: Local) -> None:
    for token in (None, "nonsense"):
        answer = local.api("GET", HOST, f"/v1/{PYTHON}", token)
        assert (answer.status_code, answer.json()["error"]["status"]) == (401, "UNAUTHENTICATED")
    read_only = local.token(ADMIN, scopes=[READ_ONLY])
    assert local.api("GET", HOST, f"/v1/{PYTHON}", read_only).status_code == 200
    answer = local.api("DELETE", HOST, f"/v1/{PYTHON}/packages/x", read_only)
    assert answer.status_code == 403
    assert answer.json()["error"]["details"][0]["reason"] == "ACCESS_TOKEN_SCOPE_INSUFFICIENT"


def test_locations(local: Local) -> None:
    for version in ("v1", "v1beta2"):
        answer = local.api("GET", HOST, f"/{version}/projects/demo-project/locations", local.token())
        assert "us-central1" in [item["locationId"] for item in answer.json()["locations"]]


# Files


def test_files(local: Local, wheels: list[Path]) -> None:
    names = _names(local, f"{PYTHON}/files", "files")
    assert names == sorted(
        f"files/{package}%2F{wheel.name.replace('+', '%2B')}"
        for package, wheel in zip(["my-pkg", "my-pkg", "other"], wheels, strict=True)
    )
    item = _call(local, "GET", f"{PYTHON}/files/other%2F{wheels[2].name}").json()
    content = wheels[2].read_bytes()
    assert item["sizeBytes"] == str(len(content))
    hashes = {entry["type"]: base64.b64decode(entry["value"]) for entry in item["hashes"]}
    assert hashes == {"SHA256": hashlib.sha256(content).digest(), "MD5": hashlib.md5(content).digest()}
    assert item["owner"] == f"{PYTHON}/packages/other/versions/2.0"


def test_file_with_a_plus_in_its_name(local: Local, wheels: list[Path]) -> None:
    name = f"{PYTHON}/files/{quote(f'my-pkg/{wheels[1].name}', safe='')}"
    for spelling in (name, name.replace("%", "%25")):
        assert _call(local, "GET", spelling).json()["name"] == name
        assert _call(local, "GET", f"{spelling}:download?alt=media").content == wheels[1].read_bytes()


def test_file_is_deleted(local: Local, wheels: list[Path]) -> None:
    name = f"{PYTHON}/files/other%2F{wheels[2].name}"
    assert _call(local, "DELETE", name).status_code == 403
    _finished(local, _call(local, "DELETE", name, ADMIN))
    assert _call(local, "GET", name).status_code == 404
    assert _call(local, "DELETE", name, ADMIN).status_code == 404
    assert local.upload(wheels[2], local.token()).status_code == 200


# Packages, versions, pythonPackages


def test_packages_and_versions(local: Local, wheels: list[Path]) -> None:
    assert len(wheels) == 3
    assert _names(local, f"{PYTHON}/packages", "packages") == ["packages/my-pkg", "packages/other"]
    assert _names(local, f"{PYTHON}/packages/my-pkg/versions", "versions") == [
        "packages/my-pkg/versions/1.0",
        "packages/my-pkg/versions/1.0%2Blocal",
    ]
    one = f"{PYTHON}/packages/my-pkg/versions/1.0%2Blocal"
    for spelling in (one, one.replace("%", "%25")):
        assert _call(local, "GET", spelling).json()["name"] == one
    assert _call(local, "GET", f"{PYTHON}/packages/none").status_code == 404


def test_python_packages(local: Local, wheels: list[Path]) -> None:
    names = _names(local, f"{PYTHON}/pythonPackages", "pythonPackages")
    assert names == ["pythonPackages/my-pkg:1.0", "pythonPackages/my-pkg:1.0%2Blocal", "pythonPackages/other:2.0"]
    item = _call(local, "GET", f"{PYTHON}/pythonPackages/other:2.0").json()
    assert item["uri"] == f"us-central1-python.pkg.dev/demo-project/python/other/{wheels[2].name}"
    assert (item["packageName"], item["version"]) == ("other", "2.0")


def test_versions_of_a_package_are_deleted_together(local: Local, wheels: list[Path]) -> None:
    assert len(wheels) == 3
    batch = ("POST", f"{PYTHON}/packages/my-pkg/versions:batchDelete")
    gone = f"{PYTHON}/packages/my-pkg/versions/1.0%2Blocal"
    body = {"names": [gone, f"{PYTHON}/packages/my-pkg/versions/9"]}
    assert _call(local, *batch, json=body).status_code == 403
    for wrong in ({}, {"names": "1.0"}, {"names": [f"{PYTHON}/packages/other/versions/2.0"]}):
        assert _call(local, *batch, ADMIN, json=wrong).status_code == 400
    _finished(local, _call(local, *batch, ADMIN, json={**body, "validateOnly": True}))
    started = _call(local, *batch, ADMIN, json=body)
    assert _finished(local, started) == {"@type": "type.googleapis.com/google.protobuf.Empty"}
    assert started.json()["metadata"]["failedVersions"] == [f"{PYTHON}/packages/my-pkg/versions/9"]
    assert _names(local, f"{PYTHON}/packages/my-pkg/versions", "versions") == ["packages/my-pkg/versions/1.0"]


def test_version_and_package_are_deleted(local: Local, wheels: list[Path]) -> None:
    assert len(wheels) == 3
    version = f"{PYTHON}/packages/my-pkg/versions/1.0"
    assert _call(local, "DELETE", version).status_code == 403
    _finished(local, _call(local, "DELETE", version, ADMIN))
    assert _names(local, f"{PYTHON}/packages/my-pkg/versions", "versions") == ["packages/my-pkg/versions/1.0%2Blocal"]
    _finished(local, _call(local, "DELETE", f"{PYTHON}/packages/my-pkg", ADMIN))
    assert _names(local, f"{PYTHON}/packages", "packages") == ["packages/other"]
    assert _call(local, "DELETE", f"{PYTHON}/packages/my-pkg", ADMIN).status_code == 404


# Lists


def test_filter(local: Local, wheels: list[Path]) -> None:
    owner = f'owner="{PYTHON}/packages/my-pkg/versions/1.0"'
    assert _names(local, f"{PYTHON}/files", "files", filter=owner) == [f"files/my-pkg%2F{wheels[0].name}"]
    named = f'name="{PYTHON}/files/other*"'
    assert _names(local, f"{PYTHON}/files", "files", filter=named) == [f"files/other%2F{wheels[2].name}"]
    assert _names(local, f"{PYTHON}/files", "files", filter=f"{named} AND {owner}") == []


def test_pages(local: Local, wheels: list[Path]) -> None:
    whole = _names(local, f"{PYTHON}/files", "files")
    found: list[str] = []
    token = ""
    for _ in wheels:
        body = _call(local, "GET", f"{PYTHON}/files", params={"pageSize": "1", "pageToken": token}).json()
        found += [item["name"].removeprefix(f"{PYTHON}/") for item in body["files"]]
        token = body.get("nextPageToken", "")
    assert (found, token) == (whole, "")
    for bad in ({"pageSize": "x"}, {"pageToken": "é"}):
        assert _call(local, "GET", f"{PYTHON}/files", params=bad).status_code == 400


# Operations


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
