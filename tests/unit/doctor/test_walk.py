import json
from collections.abc import Callable
from pathlib import Path

import pytest

from gar_publish.context import Context, RetryPolicy
from gar_publish.doctor import tell_after, walk
from gar_publish.errors import Failure, cancelled
from gar_publish.registry.repository_api import DOWNLOAD, UPLOAD
from gar_publish.settings.endpoints import Endpoints
from tests.unit.doctor.conftest import REPOSITORY, Examine, answer
from tests.unit.servers import Memory, Reply, ScriptedServer

FAILURE = Failure("It failed.", anchor="registry-403")
INPUTS = {"repository": REPOSITORY, "access-token": "ya29.given"}


@pytest.fixture
def context(server: ScriptedServer, console: Memory, tmp_path: Path) -> Context:
    environment = {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary"), "NO_GCE_CHECK": "true"}
    return Context(tmp_path, environment, Endpoints(server.url), console, RetryPolicy(sleep=lambda _: None))


def test_no_link_is_reached_after_a_broken_one(look: Examine) -> None:
    found = look({"repository": "nonsense//"})
    assert [link.state for link in found.links] == ["broken", *["not reached"] * 7]


def test_a_check_without_permission_breaks_nothing(look: Examine, server: ScriptedServer) -> None:
    server.on("/us-central1-python.pkg.dev/demo-project", Reply(404))
    api = "/artifactregistry.googleapis.com/v1/projects/demo-project/locations/us-central1/repositories/python"
    server.on(api, Reply(403, "{}"))
    found = look()
    assert found.exit_code == 0
    assert [link.name for link in found.links if link.state == "not checked"] == ["repository", "permissions"]


def test_names_both_causes_if_nothing_can_be_listed(look: Examine, server: ScriptedServer) -> None:
    project = "/artifactregistry.googleapis.com/v1/projects/demo-project/locations"
    server.on(project, Reply(403, "{}"))
    server.on(f"{project}/us-central1/repositories/python:testIamPermissions", Reply(body="{}"))
    found = look().broken
    assert found
    assert found.failure
    assert found.failure.cause.startswith("there is no repository python in us-central1, or the identity lacks ")
    assert [command.split()[3] for command in found.commands] == ["list", "create", "add-iam-policy-binding"]


@pytest.mark.parametrize(
    ("granted", "seen"),
    [
        (Reply(400, "{}"), "permissions to attach evidence: the API does not say"),
        (answer(permissions=["artifactregistry.attachments.create"]), "artifactregistry.files.update: not granted"),
    ],
)
def test_checks_the_permissions_to_attach_evidence_separately(
    look: Examine, server: ScriptedServer, granted: Reply, seen: str
) -> None:
    api = "/artifactregistry.googleapis.com/v1/projects/demo-project/locations/us-central1/repositories/python"
    server.on(api, answer(format="PYTHON"))
    server.on(f"{api}:testIamPermissions", answer(permissions=[UPLOAD, DOWNLOAD]), granted)
    found = look({"sbom": "true"})
    (permissions,) = (link for link in found.links if link.name == "permissions")
    assert f"{UPLOAD}: granted" in permissions.facts
    assert seen in permissions.facts
    assert (permissions.state == "broken") == (granted.status == 200)


def test_a_key_as_the_password_goes_only_to_the_index(look: Examine, server: ScriptedServer) -> None:
    key = {"type": "service_account", "client_email": "a@p.example", "private_key": "x", "private_key_id": "1"}
    found = look({"access-token": "", "json-key": json.dumps(key)})
    assert [link.name for link in found.links if link.state == "not checked"] == ["repository", "permissions"]
    sent = {seen.path.split("/")[1] for seen in server.seen if "Authorization" in seen.headers}
    assert sent == {"us-central1-python.pkg.dev"}
    assert found.links[-1].facts == ("can be read",)


def test_writes_to_log_and_summary_after_a_failure(context: Context, console: Memory, tmp_path: Path) -> None:
    tell_after(FAILURE, INPUTS, context)
    assert "+ Inputs: ok" in console.said
    assert "| ✅ Inputs | ok |" in (tmp_path / "summary").read_text("utf-8")


def test_a_cancelled_run_is_not_examined(context: Context, server: ScriptedServer) -> None:
    tell_after(cancelled(), INPUTS, context)
    assert server.seen == []


def test_an_internal_error_keeps_the_links_before_it(look: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "check_clock", lambda *_: _fail())
    found = look()
    assert [link.state for link in found.links[:4]] == ["ok", "ok", "ok", "broken"]
    assert found.exit_code == 1


def _fail() -> None:
    raise KeyError("made up")


def _wait() -> None:
    import threading

    threading.Event().wait(1)


@pytest.mark.parametrize(
    ("act", "said"), [(_fail, "The doctor failed (KeyError)."), (_wait, "The doctor did not finish")]
)
def test_a_run_ends_even_if_the_doctor_fails_or_hangs(
    act: Callable[[], None],
    said: str,
    context: Context,
    console: Memory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(walk, "TIME_LIMIT", 0.05)
    monkeypatch.setattr(walk, "examine", lambda *_: act())
    tell_after(FAILURE, INPUTS, context)
    assert console.said[-1].startswith(said)
