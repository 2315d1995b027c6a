import base64
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import requests

from emulated import PUBLISHER, PYTHON, READER, Local, make_wheel

HOST = "artifactregistry.googleapis.com"
ADMIN = "user:admin@example.com"
VERSION = f"{PYTHON}/packages/hello/versions/1.0%2Blocal"
CONTENT = b'{"made":\r\n "up"}\n'
DIGEST = hashlib.sha256(CONTENT).hexdigest()
FILE = f"{PYTHON}/files/sha256:{DIGEST}"
RELATED = "multipart/related; boundary=b"
NO_FILE = f"{PYTHON}/files/sha256:{'0' * 64}"
BODY = {"target": VERSION, "type": "text/plain", "files": [FILE]}


@pytest.fixture
def local(start_with: Callable[[str, str], Local], tmp_path: Path) -> Local:
    running = start_with(ADMIN, "roles/artifactregistry.admin")
    assert running.upload(make_wheel(tmp_path, "hello", "1.0+local"), running.token()).status_code == 200
    return running


def call(local: Local, method: str, path: str, who: str = PUBLISHER, **options: Any) -> requests.Response:
    return local.api(method, HOST, path, local.token(who), **options)


def upload(local: Local, who: str = PUBLISHER, content_type: str = RELATED) -> requests.Response:
    head = b"--b\r\nContent-Type: application/json\r\n\r\n{}\r\n--b\r\nContent-Type: x/y\r\n\r\n"
    headers = {"Authorization": f"Bearer {local.token(who)}", "Content-Type": content_type}
    path = f"/upload/v1/{PYTHON}/files:upload?uploadType=multipart"
    return local.session.post(local.url(HOST, path), data=head + CONTENT + b"\r\n--b--", headers=headers)


def ended(local: Local, operation: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = call(local, "GET", f"/v1/{operation['name']}").json()
    assert found["done"]
    return found


def create(
    local: Local, id_: str = "one", who: str = PUBLISHER, changes: Mapping[str, object] = MappingProxyType({})
) -> requests.Response:
    return call(local, "POST", f"/v1/{PYTHON}/attachments?attachmentId={id_}", who, json={**BODY, **changes})


def test_file_is_named_by_its_hash(local: Local) -> None:
    response = ended(local, upload(local).json()["operation"])["response"]
    assert (response["name"], response["sizeBytes"]) == (FILE, str(len(CONTENT)))
    assert response["hashes"][0] == {"type": "SHA256", "value": base64.b64encode(bytes.fromhex(DIGEST)).decode()}
    assert call(local, "GET", f"/v1/{FILE}", READER).json() == {k: v for k, v in response.items() if k != "@type"}
    assert call(local, "GET", f"/v1/{FILE}:download?alt=media", READER).content == CONTENT
    listed = call(local, "GET", f"/v1/{PYTHON}/files", READER).json()["files"]
    assert FILE in [each["name"] for each in listed]


def test_operation_reports_an_existing_file(local: Local) -> None:
    upload(local)
    error = ended(local, upload(local).json()["operation"])["error"]
    assert (error["code"], "already exists" in error["message"]) == (6, True)


def test_resumable_upload(local: Local) -> None:
    begun = call(local, "POST", f"/resumable/upload/v1/{PYTHON}/files:upload?uploadType=resumable", json={})
    headers = {"Authorization": f"Bearer {local.token()}"}
    where, total = begun.headers["Location"], len(CONTENT)

    def put(first: int, last: int) -> requests.Response:
        range_ = {"Content-Range": f"bytes {first}-{last - 1}/{total}"}
        return local.session.put(where, data=CONTENT[first:last], headers={**headers, **range_}, allow_redirects=False)

    more = put(0, 5)
    assert (more.status_code, more.headers["Range"]) == (308, "bytes=0-4")
    assert put(3, total).status_code == 400, "a gap, or an overlap"
    assert ended(local, put(5, total).json()["operation"])["response"]["name"] == FILE
    assert put(5, total).status_code == 400, "the upload has ended"


@pytest.mark.parametrize("content_type", ["multipart/form-data; boundary=b", "multipart/related", "text/plain"])
def test_other_body_is_refused(local: Local, content_type: str) -> None:
    assert upload(local, content_type=content_type).status_code == 400


def test_annotations_replace_earlier_ones(local: Local) -> None:
    upload(local)
    for annotations in ({"a": "1"}, {"b": "2"}):
        answer = call(local, "PATCH", f"/v1/{FILE}?updateMask=annotations", json={"annotations": annotations})
        assert answer.json()["annotations"] == annotations
    assert call(local, "PATCH", f"/v1/{FILE}", json={"annotations": {}}).status_code == 400
    assert call(local, "PATCH", f"/v1/{NO_FILE}?updateMask=annotations", json={"annotations": {}}).status_code == 404


def test_attachment_is_listed_by_target_and_survives_a_restart(local: Local, start: Callable[..., Local]) -> None:
    upload(local)
    made = ended(local, create(local).json())["response"]
    assert made["name"] == f"{PYTHON}/attachments/one"
    assert create(local).status_code == 409
    again = start(local.emulator.cloud.world)
    found = call(again, "GET", f"/v1/{PYTHON}/attachments/one", READER).json()
    assert found == {k: v for k, v in made.items() if k != "@type"}
    assert {**found, **BODY} == found
    for target, count in ((VERSION, 1), (f"{VERSION}1", 0)):
        path = f'/v1/{PYTHON}/attachments?filter=target="{target}"'
        assert len(call(again, "GET", path, READER).json().get("attachments", [])) == count


@pytest.mark.parametrize(
    ("id_", "changes", "status"),
    [
        ("One", {}, 400),
        ("", {}, 400),
        ("one", {"files": []}, 400),
        ("one", {"files": [NO_FILE]}, 404),
        ("one", {"target": f"{PYTHON}/packages/hello/versions/2"}, 404),
        ("one", {"target": PYTHON}, 200),
        ("one", {"target": f"{PYTHON}/packages/hello"}, 200),
    ],
)
def test_attachment_needs_existing_files_and_target(
    local: Local, id_: str, changes: dict[str, object], status: int
) -> None:
    upload(local)
    assert create(local, id_, changes=changes).status_code == status


def test_permissions(local: Local) -> None:
    assert upload(local, who=READER).status_code == 403
    upload(local)
    assert (
        call(local, "PATCH", f"/v1/{FILE}?updateMask=annotations", READER, json={"annotations": {}}).status_code == 403
    )
    assert create(local, who=READER).status_code == 403
    create(local)
    one = f"/v1/{PYTHON}/attachments/one"
    assert call(local, "DELETE", one).status_code == 403
    assert call(local, "DELETE", one, ADMIN).status_code == 200
    assert call(local, "GET", one).status_code == 404
