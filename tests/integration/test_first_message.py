"""The first message of a run that something wrong stops is right, without the doctor."""

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from gar_emulator import Emulator, World
from gar_emulator.world.fault import Fault
from gar_emulator.world.world import Key, Project, Repository
from gar_publish.context import Context, RetryPolicy
from gar_publish.errors import Failure
from gar_publish.publish import pipeline
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.settings import Settings
from tests.integration.frontdoors import DIRECT, PROVIDER, PUBLISHER, READER, REPOSITORY, Doors
from tests.unit.servers import Memory, Reply, serve
from tests.wheels import make_wheel

HOST = "us-central1-python.pkg.dev"
JOBS = "principalSet://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/github"
LIST = "gcloud artifacts repositories list --project=demo-project"
GRANT = "add-iam-policy-binding REPOSITORY --location=LOCATION --project=demo-project --member="
WRITER = " --role=roles/artifactregistry.writer"


@dataclass(frozen=True)
class Wrong:
    """One thing that is wrong.

    Attributes:
        says: The first line.
        fix: Parts of the fix.
        where: The repository's location, project and name.
        key: The account whose key is the credential; empty for the job's own identity.
        job: The claims of the job.
        fault: A fault of the emulator.
        cause: Part of the cause.
    """

    says: str
    fix: tuple[str, ...]
    where: str = REPOSITORY
    key: str = PUBLISHER
    job: dict[str, str] = field(default_factory=dict)
    fault: Fault | None = None
    cause: str = ""


def unseen(where: str, who: str = PUBLISHER, member: str = f"serviceAccount:{PUBLISHER}", **more: Any) -> Wrong:
    location, _, name = where.split("/")
    says = f"No Python repository {name} in {location} that {who} can see."
    return Wrong(says, (LIST, f"{GRANT}{member}{WRITER}"), where, **more)


JOB = {"key": "", "who": "the jobs of octo-org/hello", "member": f"{JOBS}/attribute.repository/octo-org/hello"}
WRONG = {
    "typo": unseen("us-central1/demo-project/pithon"),
    "region": unseen("europe-west1/demo-project/python"),
    "account without a role": unseen("us-central1/demo-project/locked"),
    "job without a role": unseen("us-central1/demo-project/locked", **JOB),
    "reader": Wrong(
        f"{READER} may not upload to {REPOSITORY}.",
        (f"binding python --location=us-central1 --project=demo-project --member=serviceAccount:{READER}{WRITER}",),
        key=READER,
    ),
    "reader, and the API is down": Wrong(
        f"{HOST} refuses to upload (HTTP 403).",
        (LIST, f"{GRANT}serviceAccount:{READER}{WRITER}"),
        key=READER,
        fault=Fault("repository", "503", times=0),
        cause="artifactregistry.googleapis.com does not answer repositories.get and testIamPermissions",
    ),
    "disabled API": Wrong(
        "The Artifact Registry API is disabled in the project 2.",
        ("gcloud services enable artifactregistry.googleapis.com --project=2",),
        where="us-central1/other-project/python",
    ),
    "long branch name": Wrong(
        f"{HOST} refuses to read (HTTP 400).",
        ("`service-account`", f"update-oidc {PROVIDER} --attribute-mapping='google.subject=assertion.repository_id"),
        key="",
        job={"environment": "release", "ref": f"refs/heads/{'x' * 200}"},
        cause="the mapped attributes of this job's identity are too long",
    ),
}


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Run one emulator for all that is wrong, because nothing is changed."""
    world = World.default()
    world = replace(
        world,
        projects=(*world.projects, Project("other-project", 2, ("artifactregistry.googleapis.com",))),
        repositories=(
            *world.repositories,
            Repository("demo-project", "us-central1", "locked"),
            Repository("other-project", "us-central1", "python"),
        ),
        keys=(*world.keys, Key(READER)),
    )
    with Emulator(world, data=tmp_path_factory.mktemp("emulator")) as running:
        yield running


def first_message(folder: Path, inputs: dict[str, str], environment: dict[str, str], endpoints: Endpoints) -> Failure:
    make_wheel(folder / "dist", "hello")
    context = Context(folder, environment, endpoints, Memory(), RetryPolicy(tries=2, sleep=lambda _: None))
    settings = Settings.from_inputs({"dist": "dist", **inputs}, environment=environment, endpoints=endpoints)
    with pytest.raises(Failure) as stopped:
        raise pipeline.publish(settings, context).failure or AssertionError("it is published")
    return stopped.value


@pytest.mark.parametrize("wrong", WRONG.values(), ids=list(WRONG))
def test_of_a_wrong_setting(wrong: Wrong, emulator: Emulator, tmp_path: Path) -> None:
    emulator.inject(*([wrong.fault] if wrong.fault else []))
    who = (
        {"credentials-json": json.dumps(emulator.key(wrong.key))}
        if wrong.key
        else {"workload-identity-provider": PROVIDER}
    )
    environment = {"GITHUB_REPOSITORY": "octo-org/hello", **emulator.job(**wrong.job)}
    asked = len(emulator.requests)

    failure = first_message(tmp_path, {"repository": wrong.where, **who}, environment, Endpoints(emulator.url))

    assert failure.what == wrong.says, failure.explain()
    assert [part for part in wrong.fix if part not in failure.fix] == [], failure.fix
    assert wrong.cause in failure.cause
    assert "MEMBER" not in failure.explain()
    assert "artifactregistry.reader" not in failure.fix
    calls = [each for each in emulator.requests[asked:] if each.host == "artifactregistry.googleapis.com"]
    first = 2 if wrong.fault else 1  # whether the repository exists, which is tried twice
    assert len(calls) <= first + 2


@pytest.mark.parametrize("name", ["job without a role", "long branch name"])
def test_through_the_command(name: str, emulator: Emulator, hello: Doors) -> None:
    wrong = WRONG[name]
    variables = {"GITHUB_REPOSITORY": "octo-org/hello", **emulator.job(**wrong.job)}
    done = hello.command("publish", "--repository", wrong.where, "--dist", "dist", *DIRECT, variables=variables)
    assert done.code == 6
    (message,) = done.errors
    assert message.startswith(wrong.says)
    assert wrong.cause in message


PROXIES = ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy")
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
GIVEN = {"repository": REPOSITORY, "access-token": "ya29.given"}


class TestOfTheNetwork:
    @pytest.fixture(autouse=True)
    def _no_proxy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in (*PROXIES, *CERTIFICATES):
            monkeypatch.delenv(name, raising=False)

    def test_no_dns(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: Any, **__: Any) -> Any:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", refuse)
        failure = first_message(tmp_path, GIVEN, {}, Endpoints())
        assert failure.what == f"Could not look up hello: the host name {HOST} cannot be resolved."
        assert "HTTPS_PROXY" in failure.fix

    @pytest.mark.parametrize(
        ("proxy", "says", "fix"),
        [
            ("http://127.0.0.1:1", "does not answer.", "correct HTTPS_PROXY"),
            ("http://proxy.invalid:1", "does not answer.", "correct HTTPS_PROXY"),
            ("", "wants a user name and a password (407).", "USER:PASSWORD@"),
        ],
        ids=["dead", "misspelt", "407"],
    )
    def test_a_proxy(self, proxy: str, says: str, fix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with serve() as server:
            server.on(HOST, Reply(407))
            monkeypatch.setenv("HTTPS_PROXY", proxy or server.url)
            failure = first_message(tmp_path, GIVEN, {"HTTPS_PROXY": proxy or server.url}, Endpoints())
        assert failure.what == f"Could not look up hello: the proxy on the way to {HOST} {says}"
        assert fix in failure.fix

    def test_an_unknown_authority(self, proxy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        failure = first_message(tmp_path, GIVEN, {"HTTPS_PROXY": proxy}, Endpoints())
        assert failure.what == f"Could not look up hello: the certificate of {HOST} is not trusted here."
        assert "SSL_CERT_FILE" in failure.fix
