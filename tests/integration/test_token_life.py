"""What a run says when its right to identity tokens ends: a file that is not replaced, and a job that is over."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
import requests

from gar_emulator import Emulator
from tests.integration.frontdoors import PROVIDER, Doors, publish, statuses
from tests.wheels import make_wheel


@pytest.fixture
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """On Google's side, each file takes seven minutes."""

    def clock() -> float:
        return time.time() + 420 * len(running.files())

    running = Emulator(data=tmp_path_factory.mktemp("emulator"), clock=clock)
    with running:
        yield running


def test_an_identity_token_in_a_file_that_is_not_replaced_ends_the_run(
    doors: Doors, emulator: Emulator, tmp_path: Path
) -> None:
    make_wheel(doors.folder / "dist", "lib")
    make_wheel(doors.folder / "dist", "app", requires=["lib"])
    job = emulator.job()
    answer = requests.get(
        job["ACTIONS_ID_TOKEN_REQUEST_URL"],
        params={"audience": f"https://iam.googleapis.com/{PROVIDER}"},
        headers={"Authorization": f"Bearer {job['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}"},
        timeout=10,
    )
    subject = tmp_path / "subject"
    subject.write_text(answer.json()["value"])
    account = {
        "type": "external_account",
        "audience": f"//iam.googleapis.com/{PROVIDER}",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {"file": str(subject)},
    }
    (tmp_path / "credentials.json").write_text(json.dumps(account))
    variables = {"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "credentials.json")}
    done, report = publish(doors, "--dist", "dist", who=[], variables=variables)
    assert done.code == 3
    assert f"Likely cause: the identity token in {subject} has expired" in done.errors[0]
    assert statuses(report)["app-1.0-py3-none-any.whl"] == "not tried"


def test_a_request_token_that_has_expired_is_told(hello: Doors) -> None:
    expired = jwt.encode({"exp": 1}, "a key of an emulator that has ended", "HS256")
    done, _ = publish(hello, "--dist", "dist", variables={"ACTIONS_ID_TOKEN_REQUEST_TOKEN": expired})
    assert done.code == 3
    assert "Likely cause: the token in ACTIONS_ID_TOKEN_REQUEST_TOKEN has expired" in done.errors[0]
