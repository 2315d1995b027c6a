import concurrent.futures
import socket
import threading
from pathlib import Path

import pytest
import requests

from emulated import PUBLISHER, Local, make_wheel
from gar_emulator import Emulator
from gar_emulator.errors import EmulatorError


def test_everything_survives_a_restart(data: Path, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path)
    with Emulator(data=data) as emulator, requests.Session() as session:
        token, key = emulator.access_token(PUBLISHER), emulator.key(PUBLISHER)
        assert Local(emulator, session).upload(wheel, token).status_code == 200
    with Emulator(data=data) as emulator, requests.Session() as session:
        assert emulator.key(PUBLISHER) == key
        local = Local(emulator, session)
        assert local.get(f"/demo-project/python/sample/{wheel.name}", token).content == wheel.read_bytes()
        assert local.upload(wheel, token).status_code == 400


def test_no_thread_or_port_remains(data: Path) -> None:
    before = threading.active_count()
    with Emulator(data=data) as emulator, requests.Session() as session:
        session.get(emulator.url)
        address = ("127.0.0.1", int(emulator.url.rpartition(":")[2]))
    assert threading.active_count() == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


def test_taken_port_is_explained(local: Local, data: Path) -> None:
    port = int(local.emulator.url.rpartition(":")[2])
    for arguments in ({"port": port}, {"tls": True, "plain_port": port}):
        with pytest.raises(EmulatorError, match=f"port {port}"), Emulator(data=data, **arguments):  # type: ignore[arg-type] # mixed types
            pass


def test_several_addresses(data: Path) -> None:
    with Emulator(data=data, host=["127.0.0.1", "127.0.0.2"]) as emulator, requests.Session() as session:
        port = emulator.url.rpartition(":")[2]
        for host in ("127.0.0.1", "127.0.0.2"):
            assert session.get(f"http://{host}:{port}/").status_code == 200


def test_exports_connect_a_shell(local: Local) -> None:
    exports = local.emulator.exports()
    plain = local.emulator.url.removeprefix("http://")
    assert exports.pop("ACTIONS_ID_TOKEN_REQUEST_URL").startswith(local.emulator.url)
    assert local.emulator.cloud.keys.read_request_token(exports.pop("ACTIONS_ID_TOKEN_REQUEST_TOKEN")) == {}
    assert exports == {
        "GAR_EMULATOR_HOST": local.emulator.url,
        **{
            f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{service.upper()}": f"{local.emulator.url}/{service}.googleapis.com/"
            for service in ("artifactregistry", "cloudresourcemanager", "iam", "serviceusage")
        },
        "GCE_METADATA_HOST": plain,
        "GCE_METADATA_IP": plain,
        "GCE_METADATA_ROOT": plain,
    }


def test_missing_file(local: Local) -> None:
    with pytest.raises(FileNotFoundError):
        local.emulator.read("none.whl")


def test_many_uploads_at_once(local: Local, tmp_path: Path) -> None:
    wheels = [make_wheel(tmp_path, f"pkg{number}") for number in range(50)]
    same = make_wheel(tmp_path, "same")
    token = local.token()
    with concurrent.futures.ThreadPoolExecutor(25) as pool:
        statuses = list(pool.map(lambda wheel: local.upload(wheel, token).status_code, [*wheels, *[same] * 10]))
    assert sorted(statuses) == [200] * 51 + [400] * 9
    assert len(local.emulator.files()) == 51
