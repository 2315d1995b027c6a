import json
from dataclasses import replace
from pathlib import Path

from gar_publish.auth.tokens import GivenSource
from gar_publish.doctor.principal import find_member
from gar_publish.settings.credential import Ambient, GivenToken
from tests.unit.doctor.conftest import ACCOUNT, DIRECT, FEDERATION, IAM, KEY, MAPPING, POOL, PROVIDER, MakeCase, answer
from tests.unit.servers import Reply, ScriptedServer


def test_an_impersonated_account(make: MakeCase) -> None:
    assert find_member(make(FEDERATION)) == f"serviceAccount:{ACCOUNT}"


def test_a_federated_identity(make: MakeCase, server: ScriptedServer) -> None:
    mapping = {**MAPPING, "attribute.repository_id": "assertion.repository_id"}
    usual = f"principalSet://iam.googleapis.com/{POOL}/attribute.repository/octo-org/hello"
    assert find_member(make(DIRECT)) == usual
    server.on(f"{IAM}/{PROVIDER}", answer(attributeMapping=mapping))
    assert find_member(make(DIRECT)) == f"principalSet://iam.googleapis.com/{POOL}/attribute.repository_id/42"


def test_the_jobs_of_a_pool_that_bootstrap_made(make: MakeCase) -> None:
    made = replace(DIRECT, provider=PROVIDER.replace("Pools/github/", "Pools/github--octo-org--hello/"))
    pool = made.provider.partition("/providers/")[0]
    assert find_member(make(made)) == f"principalSet://iam.googleapis.com/{pool}/attribute.repository_id/42"


def test_the_account_of_a_key(make: MakeCase) -> None:
    assert find_member(make(KEY)) == f"serviceAccount:{ACCOUNT}"


def test_the_account_of_the_machine(make: MakeCase, server: ScriptedServer, tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    environment = {"GOOGLE_APPLICATION_CREDENTIALS": str(file)}
    assert find_member(make(Ambient(), environment)) == "MEMBER"
    file.write_text(json.dumps({"client_email": ACCOUNT}))
    assert find_member(make(Ambient(), environment)) == f"serviceAccount:{ACCOUNT}"
    url = f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken"
    file.write_text(json.dumps({"service_account_impersonation_url": url}))
    assert find_member(make(Ambient(), environment)) == f"serviceAccount:{ACCOUNT}"
    attached = make(Ambient())
    attached.source = GivenSource("ya29.x")
    attached.source.kind = "metadata server"
    server.on("/computeMetadata/v1/instance/service-accounts/default/email", Reply(body=f"{ACCOUNT}\n"))
    assert find_member(attached) == f"serviceAccount:{ACCOUNT}"


def test_the_owner_of_a_given_token_is_unknown(make: MakeCase) -> None:
    assert find_member(make(GivenToken("ya29.x"))) == "MEMBER"
