import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from emulated import PUBLISHER, Local, make_wheel
from gar_emulator import Fault

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture
def used(local: Local, tmp_path: Path) -> Local:
    local.upload(make_wheel(tmp_path, "my-pkg", "1.0"), local.token())
    local.get("/demo-project/python/my-pkg/my_pkg-1.0-py3-none-any.whl", local.token())
    local.get("/demo-project/python/simple/nothing/")
    local.emulator.inject(Fault("upload", "503", times=2))
    local.upload(make_wheel(tmp_path, "my-pkg", "2.0"), local.token())
    return local


def test_the_state(used: Local) -> None:
    state = used.session.get(f"{used.emulator.url}/emulator/state").json()
    (stored,) = state["files"]
    assert (stored["package"], stored["version"]) == ("my-pkg", "1.0")
    assert f"serviceAccount:{PUBLISHER}" in [each["identity"] for each in state["identities"]]
    assert f"serviceAccount:{PUBLISHER}" in [each["member"] for each in state["roles"]]
    assert [(each["fault"], each["struck"]) for each in state["faults"]] == [("503", 1)]
    struck, refused, download = state["requests"][:3]
    assert (struck["status"], struck["why"]) == (503, "fault 503")
    assert refused["status"] == 401
    assert refused["why"]
    assert download["path"].endswith("/downloads/…")


def test_no_secret_is_in_the_state(used: Local) -> None:
    text = json.dumps(used.session.get(f"{used.emulator.url}/emulator/state").json())
    assert "ya29." not in text
    assert "eyJ" not in text
    assert "PRIVATE KEY" not in text
    assert used.emulator.key(PUBLISHER)["private_key_id"] not in text


def test_the_page_allows_its_own_script_and_style_alone(local: Local) -> None:
    answer = local.session.get(local.emulator.url, headers={"Accept": "text/html,*/*;q=0.8"})
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "://" not in answer.text


def test_clients_of_the_metadata_server_get_no_page(local: Local) -> None:
    answer = local.session.get(local.emulator.url, headers={"Metadata-Flavor": "Google"})
    assert answer.text == "computeMetadata/\n"
    assert local.session.get(local.emulator.url, headers={"Host": "metadata.google.internal"}).text == answer.text


@pytest.mark.skipif(not BROWSER, reason="there is no Chromium")
def test_a_browser_shows_the_state(used: Local, tmp_path: Path) -> None:
    assert BROWSER
    done = subprocess.run(
        [
            *(BROWSER, "--headless", "--disable-gpu", "--virtual-time-budget=1000", f"--user-data-dir={tmp_path}/home"),
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
            *("--dump-dom", used.emulator.url),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    for shown in ("my_pkg-1.0-py3-none-any.whl", "fault 503", "roles/artifactregistry.writer", PUBLISHER):
        assert shown in done.stdout
