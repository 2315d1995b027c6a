import json

import pytest
import requests

from gar_publish.auth.tokens import GivenSource
from gar_publish.context import Context
from gar_publish.errors import RegistryRefused
from gar_publish.registry.attachments import AttachmentApi
from gar_publish.registry.google_api import GoogleApi
from gar_publish.registry.outcomes import Evidence
from gar_publish.settings.repository import Repository
from tests.unit.servers import Reply, ScriptedServer

HOST = "/artifactregistry.googleapis.com"
PYTHON = "projects/demo-project/locations/us/repositories/python"
SBOM = Evidence("sbom", "a.whl.cdx.json", b'{"made": "up"}')
FILE = f"{PYTHON}/files/sha256:{SBOM.sha256}"
DONE = Reply(200, '{"done": true, "response": {}}')


def as_json(body: object, status: int = 200) -> Reply:
    return Reply(status, json.dumps(body))


@pytest.fixture
def server(server: ScriptedServer) -> ScriptedServer:
    """Return a registry without attachments that accepts one."""
    server.on(f"{HOST}/upload/v1/{PYTHON}/files:upload", as_json({"operation": {"done": True, "response": {}}}))
    server.on(f"{HOST}/v1/{FILE}", as_json({}))
    server.on(f"{HOST}/v1/{FILE}:download", Reply(200, SBOM.content))
    server.on(f"{HOST}/v1/{PYTHON}/attachments/", Reply(404, "{}"), as_json({"files": [FILE]}))
    server.on(f"{HOST}/v1/{PYTHON}/attachments?", DONE)
    return server


@pytest.fixture
def api(context: Context, session: requests.Session) -> AttachmentApi:
    repository = Repository.parse("us/demo-project/python", endpoints=context.endpoints)
    return AttachmentApi(repository, GoogleApi(context, session, GivenSource("ya29.given")), "user:dev@example.com")


def test_the_calls(server: ScriptedServer, api: AttachmentApi) -> None:
    name = api.attach(SBOM, "a", "1.0.0+Local", verify=True)
    (upload,) = server.asked(f"{HOST}/upload/")
    assert upload.query == {"uploadType": ["multipart"]}
    assert upload.body.count(SBOM.content) == 1
    (created,) = server.asked(f"{HOST}/v1/{PYTHON}/attachments?")
    assert created.query == {"attachmentId": [name.rpartition("/")[2]]}
    assert json.loads(created.body) == {
        "target": f"{PYTHON}/packages/a/versions/1.0.0%2Blocal",
        "type": "application/vnd.cyclonedx+json",
        "files": [FILE],
    }
    annotated = next(each for each in server.seen if each.method == "PATCH")
    assert json.loads(annotated.body) == {"annotations": {"artifactregistry.googleapis.com/file_name": SBOM.filename}}


def test_a_document_of_two_versions_is_sent_once(server: ScriptedServer, api: AttachmentApi) -> None:
    server.on(f"{HOST}/v1/{PYTHON}/attachments/", Reply(404, "{}"))
    names = {api.attach(SBOM, "a", version, verify=False) for version in ("1", "2")}
    assert len(names) == 2
    assert len(server.asked(f"{HOST}/upload/")) == 1
    assert len(server.asked(f"{HOST}/v1/{PYTHON}/attachments?")) == 2


def test_each_version_and_content_has_its_own_id(server: ScriptedServer, api: AttachmentApi) -> None:
    server.on(f"{HOST}/v1/{PYTHON}/attachments/", as_json({"files": [FILE]}))
    other = Evidence("sbom", SBOM.filename, b"{}")
    asked = [(SBOM, "a", "1"), (SBOM, "a", "1"), (SBOM, "a", "2"), (SBOM, "b", "1"), (other, "a", "1")]
    names = [api.attach(*each, verify=False) for each in asked]
    assert len(set(names)) == 4
    assert {each.method for each in server.seen} == {"GET"}, "nothing is created twice"


@pytest.mark.parametrize(
    "reply",
    [Reply(409, "exists"), as_json({"operation": {"done": True, "error": {"code": 6, "message": "x already exists"}}})],
    ids=["status", "operation"],
)
def test_a_file_that_exists_is_used(server: ScriptedServer, api: AttachmentApi, reply: Reply) -> None:
    server.on(f"{HOST}/upload/v1/{PYTHON}/files:upload", reply)
    server.on(f"{HOST}/v1/{PYTHON}/attachments?", Reply(409, "another run was here"))
    api.attach(SBOM, "a", "1", verify=True)


@pytest.mark.parametrize(
    "start",
    [f"upload/v1/{PYTHON}/files:upload", f"v1/{PYTHON}/attachments?", f"v1/{FILE}", f"v1/{PYTHON}/attachments/"],
    ids=["upload", "create", "annotate", "look"],
)
def test_missing_permission_names_the_role(server: ScriptedServer, api: AttachmentApi, start: str) -> None:
    server.on(f"{HOST}/{start}", as_json({"error": {"message": "denied"}}, 403))
    with pytest.raises(RegistryRefused, match=r"does not let this identity attach a\.whl\.cdx\.json") as caught:
        api.attach(SBOM, "a", "1", verify=True)
    assert "--member=user:dev@example.com --role=roles/artifactregistry.writer" in caught.value.fix
    assert (caught.value.detail, caught.value.exit_code) == ("denied", 6)


@pytest.mark.parametrize(
    "reply", [Reply(400, "bad"), as_json({"done": True, "error": {"message": "bad"}})], ids=["status", "operation"]
)
def test_another_refusal_shows_the_answer(server: ScriptedServer, api: AttachmentApi, reply: Reply) -> None:
    server.on(f"{HOST}/v1/{PYTHON}/attachments?", reply)
    with pytest.raises(RegistryRefused, match="could not be attached") as caught:
        api.attach(SBOM, "a", "1", verify=True)
    assert caught.value.detail == "bad"


@pytest.mark.parametrize(
    ("start", "reply", "says"),
    [
        ("{}:download", as_json({"made": "otherwise"}), "sha256"),
        ("attachments", as_json({"files": ["another"]}), "lists another file"),
        ("attachments", as_json({}), "lists another file"),
    ],
)
def test_evidence_is_read_back_and_compared(
    server: ScriptedServer, api: AttachmentApi, start: str, reply: Reply, says: str
) -> None:
    where = f"{HOST}/v1/{FILE}:download" if "download" in start else f"{HOST}/v1/{PYTHON}/attachments/"
    server.on(where, reply)
    with pytest.raises(RegistryRefused, match=says):
        api.attach(SBOM, "a", "1", verify=True)
