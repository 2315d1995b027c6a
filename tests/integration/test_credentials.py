"""Every kind of credential, from the input to a token that the registry accepts or refuses."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import requests

from gar_emulator import Emulator, Fault
from gar_emulator.world.iam import Binding
from gar_publish.auth.http_auth import HostAuth
from gar_publish.auth.sources import open_source
from gar_publish.auth.tokens import TokenSource
from gar_publish.context import Context, RetryPolicy
from gar_publish.errors import CredentialsFailure
from gar_publish.settings.credential import read_credential
from gar_publish.settings.endpoints import Endpoints
from gar_publish.transport.session import new_session
from tests.integration.frontdoors import HELLO, PROVIDER, PUBLISH, PUBLISHER, Doors
from tests.unit.servers import Memory

MAY_UPLOAD, MAY_READ, UNKNOWN = 400, 403, 401
"""The status of an empty upload: it is empty, it is forbidden, or the token is unknown."""


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with new_session() as session:
        yield session


@pytest.fixture
def console() -> Memory:
    return Memory()


Open = Callable[..., TokenSource]
Rights = Callable[[TokenSource], int]
Check = Callable[[TokenSource], None]


@pytest.fixture
def opened(emulator: Emulator, session: requests.Session, console: Memory) -> Open:
    def opened(environment: Mapping[str, str] | None = None, **inputs: str) -> TokenSource:
        environment = emulator.job() if environment is None else environment
        return open_source(
            read_credential({name.replace("_", "-"): value for name, value in inputs.items()}, environment),
            Context(Path(), environment, Endpoints(emulator.url), console, RetryPolicy(tries=1)),
            session,
        )

    return opened


@pytest.fixture
def rights(emulator: Emulator, session: requests.Session) -> Rights:
    url = f"{emulator.address('us-central1-python.pkg.dev')}/demo-project/python/"
    return lambda source: session.post(url, files={"a": b""}, auth=HostAuth(url, source)).status_code


@pytest.fixture
def can_publish(rights: Rights, console: Memory) -> Check:
    """Return a check that a source's tokens may upload, that its read-only tokens may not, and that both are masked."""

    def can_publish(source: TokenSource) -> None:
        assert rights(source) == MAY_UPLOAD
        assert source.token().value in console.masked
        assert source.renew(source.token().value).value in console.masked
        reader = source.read_only()
        assert reader
        assert rights(reader) == MAY_READ
        assert reader.token().value in console.masked

    return can_publish


def test_workload_identity(opened: Open, can_publish: Check) -> None:
    can_publish(opened(workload_identity_provider=PROVIDER))


def test_workload_identity_with_impersonation(opened: Open, can_publish: Check, emulator: Emulator) -> None:
    source = opened(workload_identity_provider=PROVIDER, service_account=PUBLISHER)
    can_publish(source)
    asked = [seen.path for seen in emulator.requests if "idtoken" in seen.path]
    assert len(asked) == 1, "one subject token for the exchanges of a minute"


def test_key(opened: Open, can_publish: Check, emulator: Emulator) -> None:
    can_publish(opened(credentials_json=json.dumps(emulator.key(PUBLISHER))))


def test_given_token(opened: Open, rights: Rights, console: Memory, emulator: Emulator) -> None:
    source = opened(access_token=emulator.access_token(PUBLISHER))
    assert rights(source) == MAY_UPLOAD
    assert console.masked == [source.token().value]


def test_metadata_server(opened: Open, can_publish: Check) -> None:
    source = opened({})
    assert source.kind == "metadata server"
    can_publish(source)


def test_key_file(opened: Open, can_publish: Check, emulator: Emulator) -> None:
    source = opened({"GOOGLE_APPLICATION_CREDENTIALS": str(emulator.key_file(PUBLISHER))})
    can_publish(source)


@pytest.mark.parametrize("account", [None, PUBLISHER])
def test_file_of_google_github_actions_auth(
    account: str | None, opened: Open, can_publish: Check, emulator: Emulator, tmp_path: Path
) -> None:
    """https://github.com/google-github-actions/auth/blob/main/src/client/workload_identity_federation.ts"""
    job = emulator.job()
    url = job["ACTIONS_ID_TOKEN_REQUEST_URL"]
    info = {
        "type": "external_account",
        "audience": f"//iam.googleapis.com/{PROVIDER}",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {
            "url": f"{url}&audience=https%3A%2F%2Fiam.googleapis.com%2F{PROVIDER.replace('/', '%2F')}",
            "headers": {"Authorization": f"Bearer {job['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}"},
            "format": {"type": "json", "subject_token_field_name": "value"},
        },
    }
    if account:
        info["service_account_impersonation_url"] = (
            f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{account}:generateAccessToken"
        )
    file = tmp_path / "gha-creds.json"
    file.write_text(json.dumps(info))
    can_publish(opened({"GOOGLE_APPLICATION_CREDENTIALS": str(file)}))
    file.unlink()


class TestLogin:
    """`gcloud auth application-default login`, whose file names a quota project or none."""

    NEW = ("publish", "--dist=dist", "--index-token=none", "--repository=us-central1/demo-project/new")

    @pytest.fixture
    def login(self, hello: Doors, emulator: Emulator, tmp_path: Path) -> Iterator[Callable[..., Doors]]:
        roles = ("roles/artifactregistry.admin", "roles/serviceusage.serviceUsageConsumer")
        project = "projects/demo-project"
        emulator.cloud.set_policy(project, [Binding("user:dev@example.com", role, project) for role in roles])
        file = tmp_path / "application_default_credentials.json"

        def login(**more: str) -> Doors:
            file.write_text(json.dumps(emulator.login("dev@example.com", **more)))
            return replace(hello, environment={**hello.environment, "GOOGLE_APPLICATION_CREDENTIALS": str(file)})

        yield login
        file.unlink()

    def test_with_a_quota_project(self, login: Callable[..., Doors], emulator: Emulator) -> None:
        done = login(quota_project_id="demo-project").command(*self.NEW, "--create-repository")
        assert (done.code, done.warnings) == (0, []), done.err
        assert [file.filename for file in emulator.files("us-central1/demo-project/new")] == [HELLO]

    def test_without_one(self, login: Callable[..., Doors], emulator: Emulator) -> None:
        doors = login()
        done = doors.command(*PUBLISH, "--dist=dist")
        assert done.code == 0, done.err
        assert [file.filename for file in emulator.files()] == [HELLO]
        assert "764086051850" in done.warnings[0]
        assert "gcloud auth application-default set-quota-project demo-project" in done.warnings[0]
        refused = doors.command(*self.NEW, "--create-repository")
        assert refused.code == 6
        (failure,) = refused.errors
        assert "764086051850" in failure
        assert failure.endswith("#quota-project")


@pytest.mark.parametrize(
    ("endpoint", "seconds", "anchor"),
    [("sts", 7200, "stale-token"), ("oauth", 7200, "clock-skew"), ("oauth", -7200, "clock-skew")],
)
def test_a_wrong_clock_is_the_likely_cause(
    emulator: Emulator, opened: Open, endpoint: Literal["sts", "oauth"], seconds: float, anchor: str
) -> None:
    emulator.inject(Fault(endpoint, "skew", times=0, seconds=seconds))
    source = (
        opened(workload_identity_provider=PROVIDER)
        if endpoint == "sts"
        else opened(credentials_json=json.dumps(emulator.key(PUBLISHER)))
    )
    with pytest.raises(CredentialsFailure) as caught:
        source.token()
    assert caught.value.anchor == anchor
