"""The scanner finds the secrets that are planted, and nothing else."""

import base64
import os
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from gar_emulator import Emulator
from tests.leaks import Leaks, Listener

SECRET = "ya29.c/Made>>>up~~~for???this_test=0123456789"


@pytest.fixture
def planted() -> Leaks:
    """Return a separate scanner, so that the planted secret does not fail the test."""
    leaks = Leaks()
    leaks.know(SECRET, "access token")
    return leaks


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("plain", lambda text: text),
        ("URL-quoted", lambda text: quote(text, safe="")),
        ("hex", lambda text: text.encode().hex()),
        ("base64", lambda text: base64.b64encode(f"oauth2accesstoken:{text}".encode()).decode()),
        ("base64", lambda text: base64.b64encode(f"user1:{text}:more".encode()).decode()),
        ("base64", lambda text: base64.b64encode(f"user12:{text}".encode()).decode()),
        ("url-safe base64", lambda text: base64.urlsafe_b64encode(text.encode()).decode()),
    ],
)
def test_finds_every_encoding(planted: Leaks, name: str, write: Callable[[str], str]) -> None:
    planted.scan("the log", f"before {write(SECRET)} after")
    assert f"the log contains: access token ({name})" in planted.findings()


def test_finds_a_line_of_a_key_and_the_signature_of_an_identity_token() -> None:
    leaks = Leaks()
    leaks.know("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG\n-----END PRIVATE KEY-----\n", "key")
    leaks.know("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJyZXBvIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ", "identity token")
    leaks.scan("the log", "MIIEvQIBADANBgkqhkiG c2lnbmF0dXJlLXNpZ25hdHVyZQ -----BEGIN PRIVATE KEY-----")
    assert leaks.findings() == ["the log contains: identity token (plain)", "the log contains: key (plain)"]


@pytest.mark.parametrize(
    "said",
    [
        f"::add-mask::{SECRET}\nmore",
        f"--extra-index-url https://oauth2accesstoken:{SECRET}@host/simple/\n",
        f"extra-index-url<<end\n--extra-index-url https://oauth2accesstoken:{SECRET}@host/\nend\nname<<end\nhello\nend\n",
        f"export ACTIONS_ID_TOKEN_REQUEST_TOKEN='{SECRET}'\n",
    ],
)
def test_allows_places_that_contain_a_secret_on_purpose(planted: Leaks, said: str) -> None:
    planted.scan("the log", said)
    assert planted.findings() == []


@pytest.mark.parametrize(
    "said",
    [
        f"install with --extra-index-url https://oauth2accesstoken:{SECRET}@host/simple/",
        f"extra-index-url<<end\nx\nend\nindex-url<<end\nhttps://{SECRET}@host/\nend\n",
        f"masked ::add-mask::{SECRET}",
    ],
)
def test_allows_no_other_places(planted: Leaks, said: str) -> None:
    planted.scan("the log", said)
    assert planted.findings() == ["the log contains: access token (plain)"]


def test_scans_files_that_the_test_did_not_write(planted: Leaks, tmp_path: Path) -> None:
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    for file in (mine, theirs):
        file.write_text(SECRET)
    planted.expect(mine)
    assert planted.findings(tmp_path) == [f"{theirs} contains: access token (plain)"]


def test_scans_processes_that_gar_publish_starts(leaks: Leaks) -> None:
    leaks.know(SECRET, "access token")
    module = types.ModuleType("gar_publish.planted")
    exec("import subprocess\ndef start(*args, **kw):\n    subprocess.run(*args, check=True, **kw)", vars(module))
    module.start([sys.executable, "-c", "", SECRET], env=dict(os.environ))
    module.start([sys.executable, "-c", ""], env={"TOKEN": SECRET})
    found = leaks.findings()
    leaks.remove_secrets()
    assert found == [
        f"the argument vector of {sys.executable} contains: access token (plain)",
        f"the environment of {sys.executable} contains: access token (plain)",
    ]


def test_scans_output_files_and_children_of_a_process(leaks: Leaks, tmp_path: Path) -> None:
    leaks.know(SECRET, "access token")
    child = (
        f"import pathlib, subprocess, sys; print({SECRET!r}, flush=True); pathlib.Path('left').write_text({SECRET!r});"
        f"subprocess.run([sys.executable, '-c', 'import time; time.sleep(0.2)', {SECRET!r}], env={{'A': {SECRET!r}}})"
    )
    subprocess.run([sys.executable, "-c", child], check=True, capture_output=True, cwd=tmp_path)
    found = leaks.findings(tmp_path)
    leaks.remove_secrets()
    starts = [
        f"{tmp_path}/left contains: ",
        "the argument vector of ",
        "the environment of ",
        "the output of a process contains: ",
    ]
    assert len(found) == len(starts)
    assert all(line.startswith(start) for line, start in zip(found, starts, strict=True))


def test_forgets_a_container_that_has_ended(listener: Listener) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    listener.watch_container(process.pid)
    time.sleep(0.1)
    assert process.pid in listener.containers
    process.communicate(b"\n")
    deadline = time.monotonic() + 10
    while process.pid in listener.containers and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.pid not in listener.containers


def test_finds_every_token_of_an_emulator_in_another_process(tmp_path: Path) -> None:
    with Emulator(data=tmp_path) as emulator:
        for kind, token in {
            "access token": emulator.access_token("publisher@demo-project.iam.gserviceaccount.com"),
            "federated access token": emulator.access_token("principal://iam.googleapis.com/x"),
            "request token": emulator.job()["ACTIONS_ID_TOKEN_REQUEST_TOKEN"],
            "identity token": emulator.cloud.keys.id_token({"sub": "repo"}),
        }.items():
            leaks = Leaks()
            leaks.scan("the log", base64.b64encode(f"user:{token}".encode()))
            assert leaks.findings() == [f"the log contains: {kind} (base64)"]
