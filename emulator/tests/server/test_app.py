import socket
from urllib.parse import urlsplit

import pytest

from emulated import PUBLISHER, Local
from gar_emulator.server.app import Seen


def test_service_by_the_host_header(local: Local) -> None:
    headers = {"Host": "token.actions.githubusercontent.com"}
    answer = local.session.get(f"{local.emulator.url}/.well-known/openid-configuration", headers=headers)
    assert answer.json()["jwks_uri"] == "http://token.actions.githubusercontent.com/.well-known/jwks"


def test_links_use_the_address_of_the_request(local: Local) -> None:
    answer = local.session.get(
        local.url("token.actions.githubusercontent.com", "/.well-known/openid-configuration")
    ).json()
    assert answer["jwks_uri"].startswith(f"{local.emulator.url}/token.actions.githubusercontent.com/")


@pytest.mark.parametrize("path", ["/nothing", "/example.com/x", "/sts.googleapis.com/v2/token", "//x"])
def test_unknown_path_is_not_found(local: Local, path: str) -> None:
    assert local.session.get(f"{local.emulator.url}{path}").status_code == 404


def test_requests_are_recorded_without_secrets(local: Local) -> None:
    local.emulator.cloud.switch(root_index=True)
    token = local.token()
    local.get("/demo-project/python/simple/?secret=x", token)
    local.get("/demo-project/python/simple/")
    first, second = local.emulator.requests[-2:]
    path = "/demo-project/python/simple/"
    assert first == Seen("GET", "us-central1-python.pkg.dev", path, 200, f"serviceAccount:{PUBLISHER}")
    assert second == Seen("GET", "us-central1-python.pkg.dev", path, 401, "")


def test_disconnected_client_logs_no_error(local: Local, caplog: pytest.LogCaptureFixture) -> None:
    address = urlsplit(local.emulator.url)
    with socket.create_connection((address.hostname, address.port)) as client:
        client.sendall(
            b"POST /sts.googleapis.com/v1/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n\r\na=b"
        )
        local.get("/")  # the emulator now waits for the rest of the body
    for _ in range(3):
        local.get("/")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
