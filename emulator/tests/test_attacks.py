"""Attacks on the emulator by names, hosts, keys and locations."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import jwt
import pytest
import requests

from emulated import CLOUD_PLATFORM, PUBLISHER, PYTHON, READER, Clock, Local
from gar_emulator import World
from gar_emulator.errors import EmulatorError
from gar_emulator.world.iam import Binding
from gar_emulator.world.world import Key

TOKEN = "/computeMetadata/v1/instance/service-accounts/default/token"
FLAVOR = {"Metadata-Flavor": "Google"}


def _send(local: Local, path: str, **headers: str) -> requests.Response:
    """Send a path as it is: requests would resolve the dots in it."""
    prepared = local.session.prepare_request(requests.Request("GET", local.emulator.url, headers=headers))
    prepared.url = f"{local.emulator.url}{path}"
    return local.session.send(prepared)


# Hosts: a page of a browser reaches this machine by a name that resolves to it (DNS rebinding).


FOREIGN = [
    "attacker.example",
    "attacker.example:8085",
    "sts.googleapis.com.attacker.example",
    "127.0.0.1.attacker.example",
    "attacker.example@",
    "localhost@attacker.example",
    "localhost:80@attacker.example",
    "evil",
    "",
    "[attacker.example]",
    "127.0.0.1 attacker.example",
]


def test_a_foreign_host_gets_no_token(local: Local) -> None:
    for host in FOREIGN:
        answer = _send(local, TOKEN, Host=host, **FLAVOR)
        assert (answer.status_code, "access_token" in answer.text) == (421, False), host
        assert _send(local, f"/metadata.google.internal{TOKEN}", Host=host, **FLAVOR).status_code == 421, host
        assert _send(local, "/emulator/faults", Host=host).status_code == 421, host


OWN = [
    "127.0.0.1",
    "127.0.0.1:8085",
    "172.17.0.1:8085",
    "[::1]:8085",
    "localhost:8085",
    "LOCALHOST",
    "localhost.",
    "host.docker.internal:8085",
    "metadata.google.internal",
    "metadata",
    "169.254.169.254",
]


def test_a_name_of_its_own_gets_a_token(local: Local) -> None:
    for host in OWN:
        assert "access_token" in _send(local, TOKEN, Host=host, **FLAVOR).text, host


# Names: an upload decides where its file is stored.


def _upload(local: Local, filename: str, name: str = "x", version: str = "1.0") -> requests.Response:
    return local.session.post(
        local.url("us-central1-python.pkg.dev", "/demo-project/python/"),
        data={":action": "file_upload", "name": name, "version": version},
        files={"content": (filename, b"evil")},
        auth=("oauth2accesstoken", local.token()),
    )


HOSTILE_FILES = [
    ("{outside}/x-1.0.tar.gz", "{outside}/x"),
    ("../../../../../x-1.0.tar.gz", "../../../../../x"),
    ("x-1.0-py3-none-any/../../../../../../y.whl", "x"),
    ("x-1.0-1/../../../../../../y-py3-none-any.whl", "x"),
    ("..\\x-1.0.tar.gz", "..\\x"),
    ("x<img src=x onerror=alert(1)>-1.0.tar.gz", "x<img src=x onerror=alert(1)>"),
    ("-1.0.tar.gz", ""),
    ("..-1.0.tar.gz", ".."),
    ("x\n-1.0.tar.gz", "x\n"),
    ("x\x00-1.0.tar.gz", "x\x00"),
    ("ünïcode-1.0.tar.gz", "ünïcode"),
]


def test_an_upload_cannot_choose_where_its_file_is_stored(local: Local, tmp_path: Path) -> None:
    for filename, name in HOSTILE_FILES:
        answer = _upload(local, filename.format(outside=tmp_path), name.format(outside=tmp_path))
        assert answer.status_code == 400, filename
    written = [*tmp_path.rglob("*"), *local.emulator.data.rglob("*")]
    assert not [file for file in written if file.is_file() and file.read_bytes() == b"evil"]


# Keys: a key signs for its own account alone.


def _assertion(local: Local, clock: Clock, account: str, **header: str) -> str:
    claims = {
        "iss": account,
        "iat": int(clock.now),
        "exp": int(clock.now) + 3600,
        "scope": CLOUD_PLATFORM,
        "aud": "https://oauth2.googleapis.com/token",
    }
    return jwt.encode(claims, local.emulator.key(READER)["private_key"], "RS256", header)


def test_a_key_signs_for_its_own_account_alone(start: Callable[..., Local], default: World, clock: Clock) -> None:
    local = start(replace(default, keys=(*default.keys, Key(READER))))
    ids = [{"kid": local.emulator.key(account)["private_key_id"]} for account in (READER, PUBLISHER)]
    for header in (*ids, {}):
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "assertion": _assertion(local, clock, PUBLISHER, **header),
        }
        answer = local.session.post(local.url("oauth2.googleapis.com", "/token"), data=form)
        assert (answer.status_code, answer.json()["error_description"]) == (400, "Invalid JWT Signature."), header


# Locations and other parts of a path.


LOCATIONS = ["..", "%2e%2e", "%2E%2E", "..%5C..", "%2Ftmp", "x%2F..%2F..", "us_central1", "."]


def test_a_new_repository_cannot_be_outside_of_the_data_folder(start: Callable[..., Local], default: World) -> None:
    admin = Binding(f"serviceAccount:{PUBLISHER}", "roles/owner", "projects/demo-project")
    local = start(replace(default, bindings=(*default.bindings, admin)))
    auth = {"Authorization": f"Bearer {local.token()}"}
    for location in LOCATIONS:
        path = f"/artifactregistry.googleapis.com/v1/projects/demo-project/locations/{location}/repositories"
        request = requests.Request("POST", local.emulator.url, json={"format": "PYTHON"}, headers=auth)
        prepared = local.session.prepare_request(request)
        prepared.url = f"{local.emulator.url}{path}?repositoryId=evil"
        assert local.session.send(prepared).status_code in {400, 404}, location
    assert list(local.emulator.data.rglob("repository.json")) == []


DIGESTS = ["..", "%2e%2e", "..%2f..%2fsetup", "..%5Csetup", "x", "A" * 64]


def test_the_digest_of_an_attached_file_is_no_path(local: Local) -> None:
    folder = local.emulator.data / "attachments/us-central1/demo-project/python/files"
    folder.mkdir(parents=True)
    record = {"sha256": "../../../../../keys/tokens.key", "md5": "", "size": 1, "created": 1.0, "updated": 1.0}
    (folder / "x.json").write_text(json.dumps(record))
    for digest in DIGESTS:
        for verb in ("", ":download?alt=media"):
            path = f"/artifactregistry.googleapis.com/v1/{PYTHON}/files/sha256:{digest}{verb}"
            assert _send(local, path, Authorization=f"Bearer {local.token()}").status_code == 404, digest


ROOTS = (
    "/",
    "/emulator/",
    "/us-central1-python.pkg.dev/demo-project/python/",
    "/us-central1-python.pkg.dev/artifacts-downloads/",
    f"/artifactregistry.googleapis.com/v1/{PYTHON}/files/",
)


def test_no_path_leads_to_a_key(local: Local) -> None:
    file = "keys/tokens.key"
    auth = f"Bearer {local.token()}"
    for path in (file, quote(file, safe=""), f"..%2f..%2f..%2f..%2f{file}", f"../../../../../{file}"):
        for root in ROOTS:
            answer = _send(local, f"{root}{path}", Authorization=auth)
            assert answer.status_code in {400, 401, 403, 404}, f"{root}{path}"


@pytest.mark.parametrize(
    "text",
    [
        '[[accounts]]\nemail = "../../evil"\n[[keys]]\naccount = "../../evil"\n',
        '[[projects]]\nid = ".."\nnumber = 1\n',
        '[[projects]]\nid = "p"\nnumber = 1\n[[repositories]]\nproject = "p"\nlocation = ".."\nname = "evil"\n',
        '[[projects]]\nid = "p"\nnumber = 1\n[[repositories]]\nproject = "p"\nlocation = "us"\nname = "/evil"\n',
    ],
)
def test_a_world_file_names_no_place_outside_of_the_data_folder(text: str) -> None:
    with pytest.raises(EmulatorError, match="is not a valid name"):
        World.parse(text, "world.toml")
