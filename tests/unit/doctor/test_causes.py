"""What is judged from IAM's answers, beside what the planted worlds show (`tests/integration/test_doctor.py`)."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gar_publish.credentials.source import GivenSource
from gar_publish.doctor import causes
from gar_publish.doctor.case import Case, Clocks
from gar_publish.doctor.members import member
from gar_publish.doctor.onlooker import Onlooker
from gar_publish.endpoints import Endpoints
from gar_publish.errors import CredentialsFailure
from gar_publish.google_api import GoogleApi
from gar_publish.http import new_session
from gar_publish.identity import Ambient, Credential, Federation, GivenToken, Key
from gar_publish.patience import Patience
from gar_publish.repository import Repository
from gar_publish.surroundings import Surroundings
from tests.unit.doctor.conftest import PROVIDER, REPOSITORY
from tests.unit.servers import Memory, Reply, ScriptedServer

IAM = "/iam.googleapis.com/v1"
POOL = PROVIDER.partition("/providers/")[0]
ACCOUNT = "publisher@demo-project.iam.gserviceaccount.com"
ACCOUNTS = f"{IAM}/projects/demo-project/serviceAccounts"
FEDERATION = Federation(PROVIDER, ACCOUNT, "https://pipelines.example.com/idtoken", "x")
DIRECT = Federation(PROVIDER, None, "https://pipelines.example.com/idtoken", "x")
SUBJECT = "repo:octo-org@7/hello@42:ref:refs/heads/main"
CLAIMS = {
    "repository": "octo-org/hello",
    "repository_id": "42",
    "repository_owner": "octo-org",
    "ref_type": "branch",
    "sub": SUBJECT,
}
MAPPING = {"google.subject": "assertion.sub", "attribute.repository": "assertion.repository"}

MakeCase = Callable[..., Case]


@pytest.fixture
def make(server: ScriptedServer, console: Memory, tmp_path: Path) -> Iterator[MakeCase]:
    patience = Patience(tries=1, sleep=lambda _: None)
    endpoints = Endpoints(server.url)
    with new_session(patience) as session:

        def make(credential: Credential = FEDERATION, environment: dict[str, str] | None = None) -> Case:
            around = Surroundings(tmp_path, environment or {}, endpoints, console, patience)
            api = GoogleApi(session=session, source=GivenSource("ya29.x"), patience=patience, on_wait=console.info)
            return Case(
                {},
                around,
                Clocks(lambda: datetime.now(UTC), lambda _: None),
                session,
                Onlooker(lambda: api, endpoints),
                repository=Repository.parse(REPOSITORY, endpoints=endpoints),
                credential=credential,
                claims=CLAIMS,
            )

        yield make


def refused(anchor: str) -> CredentialsFailure:
    return CredentialsFailure("Refused.", cause="unknown", fix="nothing", anchor=anchor)


def answer(**body: Any) -> Reply:
    return Reply(body=json.dumps(body))


class TestExchange:
    def test_a_condition_that_keeps_out_this_run_alone_is_left_alone(
        self, make: MakeCase, server: ScriptedServer
    ) -> None:
        server.on(
            f"{IAM}/{PROVIDER}", answer(attributeCondition="assertion.ref_type == 'tag'", attributeMapping=MAPPING)
        )
        found = causes.exchange(refused("attribute-condition"), make(), FEDERATION)
        assert "the condition keeps out such runs" in found.cause
        assert "gcloud" not in found.fix

    def test_another_repository_is_let_in_beside_those_that_are(self, make: MakeCase, server: ScriptedServer) -> None:
        condition = "assertion.repository == 'octo-org/other'"
        server.on(f"{IAM}/{PROVIDER}", answer(attributeCondition=condition))
        found = causes.exchange(refused("attribute-condition"), make(), FEDERATION)
        assert "lets in other repositories" in found.cause
        assert f"--attribute-condition=\"({condition} || assertion.repository_id == '42')\"" in found.fix

    @pytest.mark.parametrize("provider", [Reply(403), answer(attributeCondition="assertion.sub.contains('x')")])
    def test_what_cannot_be_seen_or_understood_changes_nothing(
        self, make: MakeCase, server: ScriptedServer, provider: Reply
    ) -> None:
        server.on(f"{IAM}/{PROVIDER}", provider)
        failure = refused("attribute-condition")
        assert causes.exchange(failure, make(), FEDERATION) is failure

    def test_audiences_on_the_list_stay_there(self, make: MakeCase, server: ScriptedServer) -> None:
        server.on(f"{IAM}/{PROVIDER}", answer(oidc={"allowedAudiences": ["https://github.com/octo-org"]}))
        found = causes.exchange(refused("audience"), make(), FEDERATION)
        assert f"--allowed-audiences=https://github.com/octo-org,https://iam.googleapis.com/{PROVIDER}" in found.fix

    def test_a_mapping_with_commas_of_its_own_stays_whole(self, make: MakeCase, server: ScriptedServer) -> None:
        mapping = {"google.subject": "assertion.sub", "attribute.x": "assertion.sub.replace('a', 'b')"}
        server.on(f"{IAM}/{PROVIDER}", answer(attributeMapping=mapping))
        found = causes.exchange(refused("subject-too-long"), make(), FEDERATION)
        whole = "^~^google.subject=assertion.repository_id~attribute.x=assertion.sub.replace('a', 'b')"
        assert found.fix.endswith(f'--attribute-mapping="{whole}"')

    def test_a_pool_that_is_misspelt(self, make: MakeCase, server: ScriptedServer) -> None:
        server.on("/cloudresourcemanager.googleapis.com/v1/projects/demo-project", answer(projectNumber="123456789012"))
        server.on(f"{IAM}/{POOL.rpartition('/')[0]}", answer(workloadIdentityPools=[{"name": f"{POOL}-actions"}]))
        server.on(f"{IAM}/{POOL}", Reply(404))
        found = causes.exchange(refused("provider-missing"), make(), FEDERATION)
        assert "has no pool github, but one that is called github-actions" in found.cause
        assert f"  workload-identity-provider: {PROVIDER.replace('Pools/github', 'Pools/github-actions')}" in found.fix

    def test_nothing_near_is_no_cause(self, make: MakeCase) -> None:
        failure = refused("provider-missing")
        assert causes.exchange(failure, make(), FEDERATION) is failure


class TestImpersonation:
    def bind(self, server: ScriptedServer, *members: str, mapping: dict[str, str] | None = None) -> None:
        server.on(f"{IAM}/{PROVIDER}", answer(attributeMapping=MAPPING if mapping is None else mapping))
        server.on(f"{ACCOUNTS}/{ACCOUNT}", answer(email=ACCOUNT))
        policy = {"bindings": [{"role": "roles/iam.workloadIdentityUser", "members": members}]}
        server.on(f"{ACCOUNTS}/{ACCOUNT}:getIamPolicy", answer(**policy))

    def test_nobody_is_bound(self, make: MakeCase, server: ScriptedServer) -> None:
        self.bind(server)
        found = causes.impersonation(refused("impersonation-denied"), make(), FEDERATION)
        assert found.cause.endswith("nobody is bound to it")
        assert f"--member=principalSet://iam.googleapis.com/{POOL}/attribute.repository/octo-org/hello" in found.fix

    def test_the_old_subject_is_bound(self, make: MakeCase, server: ScriptedServer) -> None:
        self.bind(server, f"principal://iam.googleapis.com/{POOL}/subject/repo:octo-org/hello:ref:refs/heads/main")
        found = causes.impersonation(refused("immutable-subject"), make(), FEDERATION)
        assert found.anchor == "immutable-subject"
        assert "the subject of this job holds ids" in found.cause

    def test_a_mapping_that_cannot_be_followed_changes_nothing(self, make: MakeCase, server: ScriptedServer) -> None:
        self.bind(server, mapping={"google.subject": "assertion.sub.upperAscii()"})
        failure = refused("impersonation-denied")
        assert causes.impersonation(failure, make(), FEDERATION) is failure

    def test_an_account_that_is_like_no_other_is_made(self, make: MakeCase, server: ScriptedServer) -> None:
        others = [{"email": f"{name}@demo-project.iam.gserviceaccount.com"} for name in ("x", "y")]
        server.on(ACCOUNTS, answer(accounts=others))
        server.on(f"{ACCOUNTS}/{ACCOUNT}", Reply(404))
        stranger = Federation(PROVIDER, "zzzzzzzzzzzzzzzz@other.iam.gserviceaccount.com", "https://x.example.com", "x")
        server.on(f"{IAM}/projects/other/serviceAccounts", answer(accounts=others))
        server.on(f"{IAM}/projects/other/serviceAccounts/{stranger.service_account}", Reply(404))
        found = causes.impersonation(refused("impersonation-denied"), make(), stranger)
        assert found.anchor == "account-missing"

    def test_other_refusals_stay_what_they_are(self, make: MakeCase) -> None:
        failure = refused("api-disabled")
        assert causes.impersonation(failure, make(), FEDERATION) is failure


class TestKey:
    KEY = Key({"client_email": ACCOUNT, "private_key_id": "1", "client_id": "103271949540120710052"})

    def test_a_deleted_account_comes_back_by_its_number(self, make: MakeCase) -> None:
        found = causes.credential(refused("account-missing"), make(self.KEY))
        assert "gcloud iam service-accounts undelete 103271949540120710052 --project=demo-project" in found.fix

    def test_of_account_and_key_the_account_is_off(self, make: MakeCase, server: ScriptedServer) -> None:
        server.on(f"{ACCOUNTS}/{ACCOUNT}", answer(email=ACCOUNT, disabled=True))
        found = causes.credential(refused("account-disabled"), make(self.KEY))
        assert found.fix.endswith(f"gcloud iam service-accounts enable {ACCOUNT} --project=demo-project")

    def test_anything_else_stays_what_it_is(self, make: MakeCase) -> None:
        failure = refused("key-deleted")
        assert causes.credential(failure, make(self.KEY)) is failure
        assert causes.credential(failure, make(Ambient())) is failure


class TestMember:
    def test_an_account_that_is_impersonated(self, make: MakeCase) -> None:
        assert member(make(FEDERATION)) == f"serviceAccount:{ACCOUNT}"

    def test_a_federated_identity(self, make: MakeCase, server: ScriptedServer) -> None:
        mapping = {**MAPPING, "attribute.repository_id": "assertion.repository_id"}
        usual = f"principalSet://iam.googleapis.com/{POOL}/attribute.repository/octo-org/hello"
        assert member(make(DIRECT)) == usual
        server.on(f"{IAM}/{PROVIDER}", answer(attributeMapping=mapping))
        assert member(make(DIRECT)) == f"principalSet://iam.googleapis.com/{POOL}/attribute.repository_id/42"

    def test_a_keys_account(self, make: MakeCase) -> None:
        assert member(make(TestKey.KEY)) == f"serviceAccount:{ACCOUNT}"

    def test_the_machines_account(self, make: MakeCase, server: ScriptedServer, tmp_path: Path) -> None:
        file = tmp_path / "key.json"
        environment = {"GOOGLE_APPLICATION_CREDENTIALS": str(file)}
        assert member(make(Ambient(), environment)) == "MEMBER"
        file.write_text(json.dumps({"client_email": ACCOUNT}))
        assert member(make(Ambient(), environment)) == f"serviceAccount:{ACCOUNT}"
        attached = make(Ambient())
        attached.source = GivenSource("ya29.x")
        attached.source.kind = "metadata server"
        server.on("/computeMetadata/v1/instance/service-accounts/default/email", Reply(body=f"{ACCOUNT}\n"))
        assert member(attached) == f"serviceAccount:{ACCOUNT}"

    def test_nobody_knows_whose_token_it_is(self, make: MakeCase) -> None:
        assert member(make(GivenToken("ya29.x"))) == "MEMBER"
