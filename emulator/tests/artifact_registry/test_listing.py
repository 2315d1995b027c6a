from pathlib import Path
from typing import Any

import requests

from emulated import PYTHON, READER, Local

HOST = "artifactregistry.googleapis.com"


def _call(local: Local, method: str, name: str, who: str = READER, **options: Any) -> requests.Response:
    return local.api(method, HOST, f"/v1/{name}", local.token(who), **options)


def _names(local: Local, name: str, kind: str, **query: str) -> list[str]:
    answer = _call(local, "GET", name, params=query)
    assert answer.status_code == 200
    return [item["name"].removeprefix(f"{PYTHON}/") for item in answer.json().get(kind, [])]


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
