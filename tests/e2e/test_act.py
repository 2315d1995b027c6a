"""The example workflows, run by act on the real image: each publishes, and uses what it published."""

import base64
import json
import re
from collections.abc import Callable

import pytest

from gar_publish.emulator import Emulator
from tests.e2e.conftest import PUBLISHER, Checkout

pytestmark = pytest.mark.docker

Act = Callable[..., str]


def test_workload_identity_publishes_installs_and_hands_on(act: Act, checkout: Checkout, emulator: Emulator) -> None:
    log = act(checkout("github-workload-identity"))
    (stored,) = emulator.files()

    assert stored.filename == "greetings-1.0.0-py3-none-any.whl"
    publish = said(log, "publish/publish")
    assert "Successfully installed greetings-1.0.0" in publish
    assert "Hello, octocat!" in publish

    announced = dict(line.split(": ", 1) for line in said(log, "publish/announce") if ": " in line)
    assert announced["index"] == f"{emulator.url}/us-central1-python.pkg.dev/demo-project/python/simple/"
    assert announced["requirements"] == "greetings==1.0.0"
    (package,) = json.loads(announced["packages"])
    assert [(file["filename"], file["sha256"]) for file in package["files"]] == [(stored.filename, stored.sha256)]


@pytest.mark.parametrize("form", ["raw", "base64"])
def test_json_key(form: str, act: Act, checkout: Checkout, emulator: Emulator) -> None:
    key = json.dumps(emulator.key(PUBLISHER))
    secret = key if form == "raw" else base64.b64encode(key.encode()).decode()
    log = act(checkout("json-key"), secrets={"GAR_KEY": secret})
    assert [file.filename for file in emulator.files()] == ["greetings-1.0.0-py3-none-any.whl"]
    assert "Hello, octocat!" in said(log, "publish/publish")


def test_monorepo_publishes_dependencies_first(act: Act, checkout: Checkout, emulator: Emulator) -> None:
    log = act(checkout("monorepo"))
    stored = sorted(emulator.files(), key=lambda file: file.created)
    assert [file.package for file in stored] == ["greetings", "welcome"]
    assert "Hello, octocat! Come in." in said(log, "publish/publish")


def test_uv_project_syncs_from_the_explicit_index(act: Act, checkout: Checkout, emulator: Emulator) -> None:
    folder = checkout("uv-project")
    log = act(folder, "--bind")
    assert "Hello, octocat!" in said(log, "publish/publish")
    lock = (folder / "service/uv.lock").read_text()
    assert f'registry = "{emulator.address("us-central1-python.pkg.dev")}/demo-project/python/simple/"' in lock


def said(log: str, job: str) -> list[str]:
    """What the steps of one job printed."""
    return re.findall(rf"^\[{job}\s*\]\s*\| (.*)$", log, re.MULTILINE)
