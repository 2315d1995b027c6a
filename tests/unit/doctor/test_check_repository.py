import json

import pytest

from gar_publish.registry.refusals import DOWNLOAD, UPLOAD
from tests.unit.doctor.conftest import Examine, answer
from tests.unit.servers import Reply, ScriptedServer


def test_a_check_without_permission_breaks_nothing(look: Examine, server: ScriptedServer) -> None:
    server.on("/us-central1-python.pkg.dev/demo-project", Reply(404))
    api = "/artifactregistry.googleapis.com/v1/projects/demo-project/locations/us-central1/repositories/python"
    server.on(api, Reply(403, "{}"))
    found = look()
    assert found.exit_code == 0
    assert [link.name for link in found.links if link.state == "not checked"] == ["repository", "permissions"]


def test_a_login_without_a_quota_project_breaks_only_what_needs_the_api(look: Examine, server: ScriptedServer) -> None:
    server.on("/us-central1-python.pkg.dev/demo-project", Reply(404))
    api = "/artifactregistry.googleapis.com/v1/projects/demo-project/locations/us-central1/repositories/python"
    server.on(api, Reply(403, "Artifact Registry API has not been used in project 764086051850 before"))
    found = look()
    assert found.exit_code == 0
    unchecked = [link for link in found.links if link.state == "not checked"]
    assert [link.name for link in unchecked] == ["repository", "permissions"]
    assert all("set-quota-project demo-project" in link.facts[-1] for link in unchecked)
    for needs in ("sbom", "create-repository"):
        broken = look({needs: "true"}).broken
        assert broken
        assert broken.failure
        assert (broken.name, broken.failure.anchor) == ("repository", "quota-project")


def test_names_both_causes_if_nothing_can_be_listed(look: Examine, server: ScriptedServer) -> None:
    project = "/artifactregistry.googleapis.com/v1/projects/demo-project/locations"
    server.on(project, Reply(403, "{}"))
    server.on(f"{project}/us-central1/repositories/python:testIamPermissions", Reply(body="{}"))
    found = look().broken
    assert found
    assert found.failure
    assert found.failure.what == "No Python repository python in us-central1 that this identity can see."
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
