import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gar_publish.auth.tokens import GivenSource
from gar_publish.context import Context, RetryPolicy
from gar_publish.doctor import Diagnosis, examine
from gar_publish.doctor.case import Case, Machine
from gar_publish.doctor.iam import Viewer
from gar_publish.errors import CredentialsFailure
from gar_publish.registry.google_api import GoogleApi
from gar_publish.settings.credential import Credential, Federation, Key
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.repository import Repository
from gar_publish.transport.session import new_session
from tests.unit.servers import Memory, Reply, ScriptedServer

Examine = Callable[..., Diagnosis]
MakeCase = Callable[..., Case]

PROVIDER = "projects/123456789012/locations/global/workloadIdentityPools/github/providers/github"
POOL = PROVIDER.partition("/providers/")[0]
REPOSITORY = "us-central1/demo-project/python"
NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
IAM = "/iam.googleapis.com/v1"
ACCOUNT = "publisher@demo-project.iam.gserviceaccount.com"
ACCOUNTS = f"{IAM}/projects/demo-project/serviceAccounts"
FEDERATION = Federation(PROVIDER, ACCOUNT, "https://pipelines.example.com/idtoken", "x")
DIRECT = Federation(PROVIDER, None, "https://pipelines.example.com/idtoken", "x")
KEY = Key({"client_email": ACCOUNT, "private_key_id": "1", "client_id": "103271949540120710052"})
SUBJECT = "repo:octo-org@7/hello@42:ref:refs/heads/main"
CLAIMS = {
    "repository": "octo-org/hello",
    "repository_id": "42",
    "repository_owner": "octo-org",
    "ref_type": "branch",
    "sub": SUBJECT,
}
MAPPING = {"google.subject": "assertion.sub", "attribute.repository": "assertion.repository"}


@pytest.fixture
def server(server: ScriptedServer) -> ScriptedServer:
    """Answers every request with 404."""
    server.on("/", Reply(404, headers={"Date": "Wed, 25 Nov 2026 12:00:00 GMT"}))
    return server


@pytest.fixture
def look(server: ScriptedServer, console: Memory, tmp_path: Path) -> Examine:
    """Examines the chain with inputs and an environment of the test's own."""

    def look(
        inputs: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        *,
        endpoints: Endpoints | None = None,
        resolve: Callable[[str], object] = lambda _: None,
    ) -> Diagnosis:
        context = Context(
            tmp_path,
            {"NO_GCE_CHECK": "true", **(environment or {})},
            endpoints or Endpoints(server.url),
            console,
            RetryPolicy(tries=1, sleep=lambda _: None),
        )
        given = {"repository": REPOSITORY, "access-token": "ya29.given", **(inputs or {})}
        return examine(
            {name: value for name, value in given.items() if value},
            context,
            Machine(now=lambda: NOW, resolve=resolve),
        )

    return look


@pytest.fixture
def make(server: ScriptedServer, console: Memory, tmp_path: Path) -> Iterator[MakeCase]:
    retry_policy = RetryPolicy(tries=1, sleep=lambda _: None)
    endpoints = Endpoints(server.url)
    with new_session(retry_policy) as session:

        def make(credential: Credential = FEDERATION, environment: dict[str, str] | None = None) -> Case:
            context = Context(tmp_path, environment or {}, endpoints, console, retry_policy)
            api = GoogleApi(context, session, GivenSource("ya29.x"))
            return Case(
                {},
                context,
                Machine(lambda: datetime.now(UTC), lambda _: None),
                session,
                Viewer(lambda: api, endpoints),
                repository=Repository.parse(REPOSITORY, endpoints=endpoints),
                credential=credential,
                claims=CLAIMS,
            )

        yield make


def refused(anchor: str) -> CredentialsFailure:
    return CredentialsFailure("Refused.", cause="unknown", fix="nothing", anchor=anchor)


def answer(**body: Any) -> Reply:
    return Reply(body=json.dumps(body))
