import json
import os
import stat
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gar_publish.auth import gcloud
from gar_publish.errors import CredentialsFailure
from tests.unit.auth.conftest import parts
from tests.unit.servers import Memory


def put_gcloud(folder: Path, body: str) -> dict[str, str]:
    """A program of that name, and the environment that finds it."""
    program = folder / "gcloud"
    program.write_text(f"#!{sys.executable} -I\nimport json, os, sys\n{body}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return {"PATH": f"{folder}{os.pathsep}{os.defpath}", "HOME": str(folder)}


ANSWER = {"credential": {"access_token": "tok-1", "token_expiry": "2026-11-22T13:00:00Z"}}


def test_token(tmp_path: Path, console: Memory) -> None:
    environment = put_gcloud(
        tmp_path, f"json.dump(sys.argv[1:], open({str(tmp_path / 'argv')!r}, 'w')); print({json.dumps(ANSWER)!r})"
    )
    program = gcloud.find(environment)
    assert program
    token = gcloud.fetch(program, environment, console)
    assert token.value == "tok-1"
    assert token.expires_at == datetime(2026, 11, 22, 13, tzinfo=UTC)
    assert console.masked == ["tok-1"]
    argv = json.loads((tmp_path / "argv").read_text())
    assert argv == ["config", "config-helper", "--format=json(credential)", "--min-expiry=10m"]


def test_a_token_without_an_end(tmp_path: Path, console: Memory) -> None:
    answer = {"credential": {"access_token": "tok-1", "token_expiry": None}}
    environment = put_gcloud(tmp_path, f"print({json.dumps(answer)!r})")
    assert gcloud.fetch(gcloud.find(environment) or "", environment, console).expires_at is None


def test_only_the_given_environment_counts(tmp_path: Path, console: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THIS_PROCESS", "yes")
    expected = "os.environ['CLOUDSDK_CORE_DISABLE_PROMPTS'] == '1' and 'OF_THIS_PROCESS' not in os.environ"
    environment = put_gcloud(tmp_path, f"assert {expected}; print({json.dumps(ANSWER)!r})")
    assert gcloud.fetch(gcloud.find(environment) or "", environment, console).value == "tok-1"
    assert gcloud.find({}) is None
    assert gcloud.find({"PATH": ""}) is None


def test_no_secret_of_the_job_reaches_gcloud(tmp_path: Path, console: Memory) -> None:
    environment = put_gcloud(tmp_path, f"assert 'made-up' not in os.environ.values(); print({json.dumps(ANSWER)!r})")
    secrets = dict.fromkeys(("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "INPUT_CREDENTIALS-JSON"), "made-up")
    assert gcloud.fetch(gcloud.find(environment) or "", environment | secrets, console).value == "tok-1"


def test_a_warning_in_another_encoding(tmp_path: Path, console: Memory) -> None:
    body = f"os.write(2, b'\\xe9t\\xe9'); print({json.dumps(ANSWER)!r})"
    environment = put_gcloud(tmp_path, body)
    assert gcloud.fetch(gcloud.find(environment) or "", environment, console).value == "tok-1"


def test_not_logged_in(tmp_path: Path, console: Memory) -> None:
    environment = put_gcloud(tmp_path, "sys.exit('ERROR: You do not currently have an active account selected.')")
    with pytest.raises(CredentialsFailure) as caught:
        gcloud.fetch(gcloud.find(environment) or "", environment, console)
    assert parts(caught.value) == (
        "gcloud is installed, but returned no token.",
        "no account is logged in, or the login has expired",
        "log in, then run the same command again\n  gcloud auth login",
        "gcloud-login",
    )
    assert caught.value.detail == "ERROR: You do not currently have an active account selected.\n"


@pytest.mark.parametrize("said", ["", "Hello", "{}", '{"credential": null}', '{"credential": {}}', "[]"])
def test_an_answer_without_a_token(said: str, tmp_path: Path, console: Memory) -> None:
    environment = put_gcloud(tmp_path, f"print({said!r})")
    with pytest.raises(CredentialsFailure) as caught:
        gcloud.fetch(gcloud.find(environment) or "", environment, console)
    assert caught.value.detail == "an answer without a token"


def test_no_answer(tmp_path: Path, console: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gcloud, "_SECONDS", 0.2)
    environment = put_gcloud(tmp_path, "import time; time.sleep(30)")
    with pytest.raises(CredentialsFailure) as caught:
        gcloud.fetch(gcloud.find(environment) or "", environment, console)
    assert caught.value.detail == "no answer in 0.2 s"


@pytest.mark.parametrize(
    ("variable", "parts"),
    [("CLOUDSDK_CONFIG", ()), ("APPDATA", ("gcloud",)), ("HOME", (".config", "gcloud"))],
)
def test_login_file(variable: str, parts: tuple[str, ...], tmp_path: Path) -> None:
    environment = {variable: str(tmp_path)}
    assert gcloud.login_file(environment) is None
    file = tmp_path.joinpath(*parts, "application_default_credentials.json")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("{}")
    assert gcloud.login_file(environment) == file
    assert gcloud.login_file({}) is None
