import hashlib
import json

import pytest
import requests

from gar_publish.auth.tokens import GivenSource
from gar_publish.context import Context
from gar_publish.errors import RegistryRefused, Unreachable
from gar_publish.registry.attachments import AttachmentApi
from gar_publish.registry.google_api import GoogleApi
from gar_publish.registry.outcomes import Evidence
from gar_publish.settings.repository import Repository
from tests.unit.failures import words
from tests.unit.servers import Memory, Reply, ScriptedServer

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
    boundary = SBOM.sha256
    assert upload.headers["Content-Type"] == f"multipart/related; boundary={boundary}"
    assert upload.body.decode().split("\r\n") == [
        f"--{boundary}",
        "Content-Type: application/json",
        "",
        "{}",
        f"--{boundary}",
        "Content-Type: application/vnd.cyclonedx+json",
        "",
        SBOM.content.decode(),
        f"--{boundary}--",
        "",
    ]
    (created,) = server.asked(f"{HOST}/v1/{PYTHON}/attachments?")
    assert created.query == {"attachmentId": [name.rpartition("/")[2]]}
    assert json.loads(created.body) == {
        "target": f"{PYTHON}/packages/a/versions/1.0.0%2Blocal",
        "type": "application/vnd.cyclonedx+json",
        "files": [FILE],
    }
    annotated = next(each for each in server.seen if each.method == "PATCH")
    assert annotated.query == {"updateMask": ["annotations"]}
    (download,) = server.asked(f"{HOST}/v1/{FILE}:download")
    assert download.query == {"alt": ["media"]}
    key = hashlib.sha256(f"{PYTHON}/packages/a/versions/1.0.0%2Blocal\n{SBOM.sha256}".encode()).hexdigest()[:32]
    assert name == f"{PYTHON}/attachments/sbom-{key}", "every release finds what another has attached"
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


def test_the_download_is_redirected(server: ScriptedServer, api: AttachmentApi) -> None:
    address = f"{HOST}/artifacts-downloads/{'x' * 6000}"
    server.on(f"{HOST}/v1/{FILE}:download", Reply(307, headers={"Location": address}))
    server.on(f"{HOST}/artifacts-downloads/", Reply(200, SBOM.content))
    api.attach(SBOM, "a", "1", verify=True)
    (second,) = server.asked(f"{HOST}/artifacts-downloads/")
    assert second.headers["Authorization"] == "Bearer ya29.given"


def test_the_redirected_download_is_refused(server: ScriptedServer, api: AttachmentApi) -> None:
    server.on(f"{HOST}/v1/{FILE}:download", Reply(307, headers={"Location": f"{HOST}/artifacts-downloads/x"}))
    server.on(f"{HOST}/artifacts-downloads/", Reply(403, "no"))
    with pytest.raises(RegistryRefused) as caught:
        api.attach(SBOM, "a", "1", verify=True)
    assert words(caught.value) == [
        (
            "a.whl.cdx.json was attached, but cannot be read back: the address to which the registry redirects its "
            "download refuses it (HTTP 403)."
        ),
        "the registry does not serve this file at the moment; the publisher's roles are not the cause",
        "run again: published files stay, and identical evidence is not attached twice",
        "evidence-read-back",
    ]


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
    with pytest.raises(RegistryRefused) as caught:
        api.attach(SBOM, "a", "1", verify=True)
    assert words(caught.value) == [
        "us/demo-project/python does not let this identity attach a.whl.cdx.json (HTTP 403).",
        (
            "the identity lacks roles/artifactregistry.writer here, or its custom role lacks "
            "attachments.create or .get, or files.upload, .update or .download"
        ),
        (
            "grant the role\n"
            "  gcloud artifacts repositories add-iam-policy-binding python --location=us --project=demo-project "
            "--member=user:dev@example.com --role=roles/artifactregistry.writer"
        ),
        "evidence-403",
    ]
    assert (caught.value.detail, caught.value.exit_code) == ("denied", 6)


@pytest.mark.parametrize(
    ("reply", "status"),
    [(Reply(400, "bad"), " (HTTP 400)"), (as_json({"done": True, "error": {"message": "bad"}}), "")],
    ids=["status", "operation"],
)
def test_another_refusal_shows_the_answer(
    server: ScriptedServer, api: AttachmentApi, reply: Reply, status: str
) -> None:
    server.on(f"{HOST}/v1/{PYTHON}/attachments?", reply)
    with pytest.raises(RegistryRefused) as caught:
        api.attach(SBOM, "a", "1", verify=True)
    assert words(caught.value) == [
        f"a.whl.cdx.json could not be attached to its version{status}.",
        "",
        "run again: published files stay, and identical evidence is not attached twice",
        "evidence-refused",
    ]
    assert caught.value.detail == "bad"


def test_an_operation_is_waited_for(server: ScriptedServer, api: AttachmentApi, console: Memory) -> None:
    server.on(f"{HOST}/v1/{PYTHON}/attachments?", as_json({"name": "operations/1"}))
    server.on(f"{HOST}/v1/operations/1", DONE)
    api.attach(SBOM, "a", "1", verify=False)
    assert console.said == ["a.whl.cdx.json is being attached; trying again in 0.5 s"]


def test_an_outage_names_the_repository(server: ScriptedServer, api: AttachmentApi) -> None:
    server.on(HOST, Reply(503))
    server.on(f"{HOST}/v1/{PYTHON}/attachments/", Reply(503))
    with pytest.raises(Unreachable, match=r"^Could not attach evidence in us/demo-project/python: "):
        api.attach(SBOM, "a", "1", verify=False)


@pytest.mark.parametrize("start", [f"{FILE}:download", f"{PYTHON}/attachments/"])
def test_reading_back_may_be_refused(server: ScriptedServer, api: AttachmentApi, start: str) -> None:
    server.on(f"{HOST}/v1/{PYTHON}/attachments/", Reply(404, "{}"), as_json({"files": [FILE]}))
    server.on(f"{HOST}/v1/{start}", *([Reply(404)] if "attachments" in start else []), Reply(400, "bad"))
    with pytest.raises(RegistryRefused, match="HTTP 400"):
        api.attach(SBOM, "a", "1", verify=True)


@pytest.mark.parametrize(
    ("start", "reply", "says"),
    [
        ("{}:download", Reply(200, "{}"), f"sha256 {hashlib.sha256(b'{}').hexdigest()}, sent was {SBOM.sha256}"),
        ("attachments", as_json({"files": ["another"]}), "the attachment lists another file"),
        ("attachments", as_json({}), "the attachment lists another file"),
    ],
)
def test_evidence_is_read_back_and_compared(
    server: ScriptedServer, api: AttachmentApi, start: str, reply: Reply, says: str
) -> None:
    where = f"{HOST}/v1/{FILE}:download" if "download" in start else f"{HOST}/v1/{PYTHON}/attachments/"
    server.on(where, reply)
    with pytest.raises(RegistryRefused) as caught:
        api.attach(SBOM, "a", "1", verify=True)
    assert words(caught.value) == [
        f"a.whl.cdx.json was attached, but has different contents when read back: {says}.",
        "a cache or a proxy changes files, or something else replaced the attachment",
        "delete the attachment, and run again",
        "evidence-read-back",
    ]
