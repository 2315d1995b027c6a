"""SBOMs and provenance are valid for independent parsers, attached once, and written to files."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from google.protobuf.json_format import Parse
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as Message

from gar_emulator import Emulator, Fault
from gar_emulator.world import iam
from tests.integration.frontdoors import (
    DIRECT,
    HELLO,
    PROVIDER,
    PUBLISH,
    PUBLISHER,
    READER,
    REPOSITORY,
    Doors,
    publish,
    statuses,
    uploads,
)
from tests.wheels import make_sdist, make_wheel

RESOURCE = "projects/demo-project/locations/us-central1/repositories/python"
BOTH = ("--dist", "dist", "--sbom", "--provenance")
WORKFLOW = {
    "GITHUB_EVENT_NAME": "push",
    "GITHUB_REF": "refs/tags/v1.0",
    "GITHUB_REPOSITORY": "octo-org/hello",
    "GITHUB_REPOSITORY_ID": "74",
    "GITHUB_REPOSITORY_OWNER_ID": "65",
    "GITHUB_RUN_ATTEMPT": "2",
    "GITHUB_RUN_ID": "1234",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_SHA": "f" * 40,
    "GITHUB_WORKFLOW_REF": "octo-org/hello/.github/workflows/publish.yml@refs/tags/v1.0",
    "RUNNER_ENVIRONMENT": "github-hosted",
}


class Attached:
    """Reads attachments through the emulator's API as a reader."""

    def __init__(self, emulator: Emulator) -> None:
        self._base = f"{emulator.address('artifactregistry.googleapis.com')}/v1"
        self._headers = {"Authorization": f"Bearer {emulator.access_token(READER)}"}

    def _get(self, name: str, **query: str) -> requests.Response:
        answer = requests.get(f"{self._base}/{name}", params=query, headers=self._headers, timeout=10)
        answer.raise_for_status()
        return answer

    def all(self, package: str = "", version: str = "1.0") -> list[dict[str, Any]]:
        target = f'target="{RESOURCE}/packages/{package}/versions/{version}"' if package else ""
        listed: list[dict[str, Any]] = self._get(f"{RESOURCE}/attachments", filter=target).json().get("attachments", [])
        return listed

    def content(self, attachment: Mapping[str, Any]) -> bytes:
        (file,) = attachment["files"]
        return self._get(f"{file}:download", alt="media").content

    def kinds(self) -> list[str]:
        return sorted(each["type"] for each in self.all())

    def documents(self, kind: str, package: str = "hello") -> list[bytes]:
        return [self.content(each) for each in self.all(package) if each["type"] == f"application/vnd.{kind}+json"]


@pytest.fixture
def attached(emulator: Emulator) -> Attached:
    return Attached(emulator)


def sha256(report: dict[str, Any], filename: str = HELLO) -> str:
    (found,) = [f["sha256"] for package in report["packages"] for f in package["files"] if f["filename"] == filename]
    return str(found)


def check_sbom(document: bytes) -> dict[str, Any]:
    """Check a document against the official schema, and return it."""
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(document.decode()) is None
    found: dict[str, Any] = json.loads(document)
    return found


def check_statement(document: bytes) -> tuple[dict[str, str], dict[str, Any]]:
    """Parse a statement with in-toto's own parser, and return the hashes of the subjects and the predicate."""
    statement = Statement.copy_from_pb(Parse(document, Message()))
    statement.validate()
    body = json.loads(document)
    Parse(json.dumps(body["predicate"]), Provenance())
    return {each.name: each.digest["sha256"] for each in statement.pb.subject}, body["predicate"]


def test_evidence_is_attached_once_and_describes_the_wheel(hello: Doors, attached: Attached) -> None:
    done, report = publish(hello, *BOTH, hurried=True)
    assert done.code == 0, done.err
    (document,) = attached.documents("cyclonedx")
    sbom = check_sbom(document)
    hashed = hashlib.sha256((hello.folder / "dist" / HELLO).read_bytes()).hexdigest()
    assert sbom["metadata"]["component"]["hashes"] == [{"alg": "SHA-256", "content": hashed}]
    (statement,) = attached.documents("in-toto")
    subjects, predicate = check_statement(statement)
    assert subjects == {HELLO: hashed}
    assert predicate["runDetails"]["builder"]["id"].endswith("docs/evidence.md#another-machine")
    for each, content in zip(report["evidence"], (document, statement), strict=True):
        assert (hello.folder / each["path"]).read_bytes() == content

    done, again = publish(hello, *BOTH, hurried=True)
    assert done.code == 0, done.err
    assert statuses(again) == {HELLO: "identical"}
    assert again["evidence"] == report["evidence"]
    assert len(attached.all()) == 2

    done, _ = publish(hello, *BOTH, variables=WORKFLOW, hurried=True)
    assert attached.kinds() == [
        "application/vnd.cyclonedx+json",
        *["application/vnd.in-toto+json"] * 2,
    ]


def test_the_action_writes_files(hello: Doors, attached: Attached) -> None:
    inputs = {"repository": REPOSITORY, "workload-identity-provider": PROVIDER, "dist": "dist"}
    step = hello.action({**inputs, "sbom": "true", "provenance": "true"}, WORKFLOW)
    assert step.code == 0, step.log
    assert step.outputs["sboms"] == f"dist/{HELLO}.cdx.json"
    assert (hello.folder / step.outputs["sboms"]).read_bytes() == attached.documents("cyclonedx")[0]
    statement = (hello.folder / step.outputs["provenance"]).read_bytes()
    assert attached.documents("in-toto") == [statement]
    assert f"`{HELLO}.cdx.json`" in step.summary
    _, predicate = check_statement(statement)
    run = "https://github.com/octo-org/hello/actions/runs/1234/attempts/2"
    workflow = {"ref": "refs/tags/v1.0", "repository": "https://github.com/octo-org/hello"}
    assert predicate["runDetails"]["metadata"] == {"invocationId": run}
    assert predicate["runDetails"]["builder"]["id"] == f"https://github.com/{WORKFLOW['GITHUB_WORKFLOW_REF']}"
    definition = predicate["buildDefinition"]
    assert definition["externalParameters"] == {"workflow": {**workflow, "path": ".github/workflows/publish.yml"}}
    (source,) = definition["resolvedDependencies"]
    assert source == {
        "uri": "git+https://github.com/octo-org/hello@refs/tags/v1.0",
        "digest": {"gitCommit": "f" * 40},
    }
    assert definition["internalParameters"]["github"]["repository_id"] == "74"
    assert definition["internalParameters"]["gar-publish"] == {"dist": ["dist"]}


def test_two_packages_and_an_sdist(hello: Doors, attached: Attached) -> None:
    make_wheel(hello.folder / "dist", "lib", "1.0+local", requires=["hello>=1"])
    make_sdist(hello.folder / "dist", "hello-1.0.tar.gz", "Metadata-Version: 2.1\nName: hello\nVersion: 1.0\n")
    done, report = publish(hello, *BOTH, hurried=True)
    assert done.code == 0, done.err
    assert attached.kinds() == ["application/vnd.cyclonedx+json"] * 2 + ["application/vnd.in-toto+json"] * 2
    assert len(attached.all("lib", "1.0%2Blocal")) == 2
    (statement,) = attached.documents("in-toto")
    subjects, _ = check_statement(statement)
    assert subjects == {file: sha256(report, file) for file in statuses(report)}
    assert len(subjects) == 3
    assert len(report["sboms"].splitlines()) == 2


@pytest.mark.parametrize(
    ("moment", "again", "status"),
    [("attach", (), "identical"), ("_create", (), "identical"), ("attach", ("--if-exists", "skip"), "skipped")],
)
def test_crash_before_everything_is_attached(
    hello: Doors, attached: Attached, moment: str, again: tuple[str, ...], status: str
) -> None:
    program = (
        "import os; from gar_publish.registry.attachments import AttachmentApi as api; "
        f"api.{moment} = lambda *_, **__: os._exit(9); from gar_publish.cli.main import run; run()"
    )
    arguments = [sys.executable, "-c", program, *PUBLISH, *DIRECT, *BOTH]
    crashed = subprocess.run(arguments, cwd=hello.folder, env=hello.environment, capture_output=True, check=False)
    assert crashed.returncode == 9, crashed.stderr
    assert attached.all() == []
    done, report = publish(hello, *BOTH, *again, hurried=True)
    assert done.code == 0, done.err
    assert statuses(report) == {HELLO: status}
    assert len(attached.all("hello")) == 2


@pytest.mark.parametrize("spared", [2, 5], ids=["upload", "create"])
def test_lost_answer(hello: Doors, emulator: Emulator, attached: Attached, spared: int) -> None:
    emulator.inject(Fault("repository", "accepted-lost", after=spared))
    done, _ = publish(hello, "--dist", "dist", "--sbom", hurried=True)
    assert done.code == 0, done.err
    assert len(attached.documents("cyclonedx")) == 1
    assert emulator.struck


def test_a_missing_role_is_reported(
    hello: Doors, emulator: Emulator, attached: Attached, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer role lacks a permission for attachments, as it once did."""
    name = "roles/artifactregistry.writer"
    whole = iam.ROLES[name]
    monkeypatch.setitem(iam.ROLES, name, whole - {"artifactregistry.files.upload"})
    done, report = publish(hello, *BOTH)
    assert done.code == 6
    assert [message.partition("\n")[0] for message in done.errors] == [
        f"{REPOSITORY} does not let this identity attach {Path(each['path']).name} (HTTP 403)."
        for each in report["evidence"]
    ]
    assert f"--role={name}" in done.errors[0]
    assert statuses(report) == {HELLO: "uploaded"}
    assert report["failures"][0]["filename"] == f"{HELLO}.cdx.json"
    assert (hello.folder / report["sboms"]).is_file()
    assert [file.filename for file in emulator.files()] == [HELLO]

    monkeypatch.setitem(iam.ROLES, name, whole)
    done, _ = publish(hello, *BOTH, hurried=True)
    assert done.code == 0, done.err
    assert len(attached.all("hello")) == 2


def test_different_contents_in_the_registry(hello: Doors, emulator: Emulator) -> None:
    _, report = publish(hello, "--dist", "dist", "--sbom", hurried=True)
    (repository,) = emulator.cloud.repositories
    emulator.cloud.attachments.path(repository, report["evidence"][0]["sha256"]).write_bytes(b"{}")
    done, report = publish(hello, "--dist", "dist", "--sbom")
    assert done.code == 6
    assert "different contents when read back" in done.errors[0]
    assert publish(hello, "--dist", "dist", "--sbom", "--no-verify")[0].code == 0


def test_dry_run_attaches_nothing(hello: Doors, emulator: Emulator, attached: Attached) -> None:
    (hello.folder / "dist").rename(hello.folder / "wheels")
    (hello.folder / "elsewhere").mkdir()
    (hello.folder / "dist").symlink_to("elsewhere")
    done, report = publish(hello, "--dist", "wheels", "--sbom", "--provenance", "--dry-run")
    assert done.code == 0, done.err
    assert "would attach" in done.err
    assert (report["sboms"], report["provenance"]) == ("", ""), "no link is followed"
    assert len(done.warnings) == 2
    assert list((hello.folder / "elsewhere").iterdir()) == []
    assert attached.all() == []
    assert uploads(emulator) == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--repository", "https://pypi.example.org/simple/"), "needs Artifact Registry, but"),
        (("--json-key", "key.json"), "needs a token"),
    ],
    ids=["elsewhere", "key"],
)
def test_evidence_is_not_possible(hello: Doors, emulator: Emulator, options: tuple[str, ...], says: str) -> None:
    (hello.folder / "key.json").write_bytes(emulator.key_file(PUBLISHER).read_bytes())
    done = hello.command(*PUBLISH, *options, "--dist", "dist", "--sbom")
    assert done.code == 2
    assert says in done.errors[0]
    assert uploads(emulator) == []
