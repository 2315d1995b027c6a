import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from gar_publish.auth import workload_identity
from gar_publish.auth.exchange import Exchange
from gar_publish.auth.tokens import PUBLISH_SCOPE, READ_ONLY_SCOPE
from gar_publish.auth.workload_identity import names, unverified_claims
from gar_publish.errors import BadInput, CredentialsFailure, Unreachable
from gar_publish.settings.credential import Federation
from gar_publish.settings.endpoints import Endpoints
from tests.unit.auth.conftest import elsewhere, parts
from tests.unit.servers import Memory, Reply, ScriptedServer, Seen

PROVIDER = "projects/123456789012/locations/global/workloadIdentityPools/github/providers/github"
ACCOUNT = "publisher@demo-project.iam.gserviceaccount.com"
AUDIENCE = f"https://iam.googleapis.com/{PROVIDER}"


def jwt(**claims: str | int) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"head.{body}.sign"


SUBJECT = jwt(iss="https://token.actions.githubusercontent.com", repository="octo-org/hello", ref="refs/heads/main")


GOOD = {
    "/github/idtoken": Reply(200, json.dumps({"count": 1, "value": SUBJECT})),
    "/sts.googleapis.com/": Reply(200, json.dumps({"access_token": "federated", "expires_in": 3599})),
    "/iamcredentials.googleapis.com/": Reply(
        200, json.dumps({"accessToken": "impersonated", "expireTime": "2026-11-22T13:00:00Z"})
    ),
}


@pytest.fixture
def asked(server: ScriptedServer) -> Federation:
    """GitHub, STS and IAM Credentials, which all give tokens."""
    for start, reply in GOOD.items():
        server.on(start, reply)
    return Federation(PROVIDER, None, f"{server.url}/github/idtoken?api-version=2.0", "request-token")


def test_used_directly(asked: Federation, exchange: Exchange, server: ScriptedServer, console: Memory) -> None:
    token = workload_identity.JobIdentity(asked, exchange).fetch(PUBLISH_SCOPE)
    assert token.value == "federated"
    assert token.expires_at
    assert token.expires_at.tzinfo
    github, sts = server.seen
    assert github.query == {"api-version": ["2.0"], "audience": [AUDIENCE]}
    assert github.headers["Authorization"] == "Bearer request-token"
    assert github.headers["Accept"] == "application/json"
    assert 3500 < (token.expires_at - datetime.now(UTC)).total_seconds() < 3600
    assert sts.headers["Authorization"] is None
    assert sts.form == {
        "grant_type": ["urn:ietf:params:oauth:grant-type:token-exchange"],
        "audience": [f"//iam.googleapis.com/{PROVIDER}"],
        "scope": [PUBLISH_SCOPE],
        "requested_token_type": ["urn:ietf:params:oauth:token-type:access_token"],
        "subject_token": [SUBJECT],
        "subject_token_type": ["urn:ietf:params:oauth:token-type:jwt"],
    }
    assert console.masked == [SUBJECT, "federated"]


def test_with_impersonation(asked: Federation, exchange: Exchange, server: ScriptedServer, console: Memory) -> None:
    token = workload_identity.JobIdentity(replace(asked, service_account=ACCOUNT), exchange).fetch(READ_ONLY_SCOPE)
    assert token.value == "impersonated"
    assert token.expires_at
    assert token.expires_at.isoformat() == "2026-11-22T13:00:00+00:00"
    iam = server.seen[-1]
    assert iam.path.endswith(f"/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken")
    assert iam.headers["Authorization"] == "Bearer federated"
    assert json.loads(iam.body) == {"scope": [READ_ONLY_SCOPE]}
    assert server.asked("/sts.")[0].form["scope"] == [PUBLISH_SCOPE]
    assert console.masked == [SUBJECT, "federated", "impersonated"]


def test_subject_token_is_fresh_for_each_exchange(
    asked: Federation, exchange: Exchange, server: ScriptedServer
) -> None:
    for account in (None, None, ACCOUNT, ACCOUNT):
        workload_identity.JobIdentity(replace(asked, service_account=account), exchange).fetch(PUBLISH_SCOPE)
    assert len(server.asked("/github/idtoken")) == 4
    assert len(server.asked("/sts.")) == 4


def test_masked_before_it_is_sent(
    asked: Federation, exchange: Exchange, server: ScriptedServer, console: Memory
) -> None:
    def answer(_: Seen) -> Reply:
        assert SUBJECT in console.masked
        return Reply(200, json.dumps({"access_token": "federated", "expires_in": "60"}))

    server.on("/sts.googleapis.com/", answer)
    assert workload_identity.JobIdentity(asked, exchange).fetch(PUBLISH_SCOPE).value == "federated"


@pytest.mark.parametrize("start", GOOD)
def test_each_call_is_retried(start: str, asked: Federation, exchange: Exchange, server: ScriptedServer) -> None:
    server.on(start, Reply(503), Reply(drop=True), Reply(429, headers={"Retry-After": "7"}), GOOD[start])
    token = workload_identity.JobIdentity(replace(asked, service_account=ACCOUNT), exchange).fetch(PUBLISH_SCOPE)
    assert token.value == "impersonated"
    assert len(server.asked(start)) == 4
    assert exchange.context.retry_policy.clock() > 1007


@pytest.mark.parametrize("start", GOOD)
def test_each_call_may_fail(start: str, asked: Federation, exchange: Exchange, server: ScriptedServer) -> None:
    server.on(start, Reply(503))
    with pytest.raises(Unreachable) as caught:
        workload_identity.JobIdentity(replace(asked, service_account=ACCOUNT), exchange).fetch(PUBLISH_SCOPE)
    assert SUBJECT not in caught.value.explain()
    assert "request-token" not in caught.value.explain()


def test_a_refused_condition_shows_the_claims(asked: Federation, exchange: Exchange, server: ScriptedServer) -> None:
    server.on(
        "/sts.googleapis.com/",
        Reply(
            401,
            json.dumps(
                {
                    "error": "unauthorized_client",
                    "error_description": "The given credential is rejected by the attribute condition.",
                }
            ),
        ),
    )
    with pytest.raises(CredentialsFailure) as caught:
        workload_identity.JobIdentity(asked, exchange).fetch(PUBLISH_SCOPE)
    assert "repository=octo-org/hello, ref=refs/heads/main" in caught.value.cause
    assert f"describe {PROVIDER}" in caught.value.fix
    assert SUBJECT not in caught.value.explain()
    assert [len(server.asked(start)) for start in GOOD] == [2, 2, 0], "another identity token is tried once"


def test_denied_impersonation_names_the_binding(asked: Federation, exchange: Exchange, server: ScriptedServer) -> None:
    server.on("/iamcredentials.googleapis.com/", Reply(403, "Permission 'iam.serviceAccounts.getAccessToken' denied"))
    with pytest.raises(CredentialsFailure) as caught:
        workload_identity.JobIdentity(replace(asked, service_account=ACCOUNT), exchange).fetch(PUBLISH_SCOPE)
    assert caught.value.what == f"Google does not let this identity act as {ACCOUNT} (HTTP 403)."
    assert caught.value.fix == (
        "let the identity act as the service account\n"
        f"  gcloud iam service-accounts add-iam-policy-binding {ACCOUNT} --project=demo-project "
        "--role=roles/iam.workloadIdentityUser --member='principalSet://iam.googleapis.com/projects/123456789012/"
        "locations/global/workloadIdentityPools/github/attribute.repository/octo-org/hello'"
    )


@pytest.mark.parametrize("answer", [{}, {"value": ""}, {"value": None}, {"value": 5}])
def test_no_subject_token(
    answer: dict[str, str | None], asked: Federation, exchange: Exchange, server: ScriptedServer
) -> None:
    server.on("/github/idtoken", Reply(200, json.dumps(answer)))
    with pytest.raises(CredentialsFailure) as caught:
        workload_identity.JobIdentity(asked, exchange).fetch(PUBLISH_SCOPE)
    assert parts(caught.value) == (
        "GitHub's answer contains no identity token.",
        "the job lacks the permission `id-token: write`, or another server answers at ACTIONS_ID_TOKEN_REQUEST_URL",
        "add these permissions to the job\n    permissions:\n      contents: read\n      id-token: write",
        "id-token-permission",
    )
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("start", "answer"),
    [
        ("/sts.", {"access_token": "federated"}),
        ("/sts.", {"access_token": "federated", "expires_in": "soon"}),
        ("/sts.", {"access_token": 5, "expires_in": 3599}),
        ("/iamcredentials.", {"accessToken": "impersonated", "expireTime": "soon"}),
        ("/iamcredentials.", {"expireTime": "2026-11-22T13:00:00Z"}),
    ],
)
def test_an_answer_without_a_token(
    start: str, answer: dict[str, object], asked: Federation, exchange: Exchange, server: ScriptedServer
) -> None:
    server.on(next(each for each in GOOD if each.startswith(start)), Reply(200, json.dumps(answer)))
    with pytest.raises(CredentialsFailure) as caught:
        workload_identity.JobIdentity(replace(asked, service_account=ACCOUNT), exchange).fetch(PUBLISH_SCOPE)
    assert caught.value.anchor == "strange-token"


def test_one_identity_token_serves_both_scopes_and_no_later_token(
    asked: Federation, exchange: Exchange, server: ScriptedServer
) -> None:
    federated = workload_identity.JobIdentity(asked, exchange)
    federated.fetch(PUBLISH_SCOPE)
    exchange.context.retry_policy.sleep(9)
    federated.fetch(READ_ONLY_SCOPE)
    assert len(server.asked("/github/")) == 1
    exchange.context.retry_policy.sleep(2)
    federated.fetch(READ_ONLY_SCOPE)
    assert len(server.asked("/github/")) == 2


def test_a_failure_that_was_reported_is_forgotten(
    asked: Federation, exchange: Exchange, server: ScriptedServer
) -> None:
    server.on("/github/idtoken", Reply(403))
    federated = workload_identity.JobIdentity(asked, exchange)
    with pytest.raises(CredentialsFailure):
        federated.fetch(PUBLISH_SCOPE)
    assert len(server.seen) == 1
    server.on("/github/idtoken", GOOD["/github/idtoken"])
    assert federated.fetch(PUBLISH_SCOPE).value == "federated"


def test_a_job_that_has_ended_gets_no_further_token(
    asked: Federation, exchange: Exchange, server: ScriptedServer
) -> None:
    federated = workload_identity.JobIdentity(asked, exchange)
    federated.fetch(PUBLISH_SCOPE)
    server.on("/github/idtoken", Reply(401))
    exchange.context.retry_policy.sleep(60)
    with pytest.raises(CredentialsFailure) as caught:
        federated.fetch(PUBLISH_SCOPE)
    assert caught.value.cause.startswith("the job has ended or was cancelled")
    assert (caught.value.fix, caught.value.anchor) == ("run the job again", "id-token-permission")


@pytest.mark.parametrize(
    ("minutes", "cause"), [(-1, "the token in ACTIONS_ID_TOKEN_REQUEST_TOKEN"), (60, "the job lacks")]
)
def test_a_request_token_that_has_expired_is_told(
    minutes: int, cause: str, asked: Federation, exchange: Exchange, server: ScriptedServer
) -> None:
    end = datetime.now(UTC) + timedelta(minutes=minutes)
    server.on("/github/idtoken", Reply(401))
    with pytest.raises(CredentialsFailure) as caught:
        workload_identity.subject_token(replace(asked, request_token=jwt(exp=int(end.timestamp()))), exchange)
    assert caught.value.cause.startswith(cause)
    assert caught.value.anchor == "id-token-permission"


def test_plain_http_gets_no_request_token(exchange: Exchange) -> None:
    asked = Federation(PROVIDER, None, "http://github.example/idtoken", "request-token")
    real = elsewhere(exchange, endpoints=Endpoints())
    with pytest.raises(BadInput, match="not encrypted"):
        workload_identity.JobIdentity(asked, real).fetch(PUBLISH_SCOPE)


@pytest.mark.parametrize("query", ["", "?", "?api-version=2.0", "?a=%26b&empty="])
def test_the_audience_is_added_to_the_query(
    query: str, asked: Federation, exchange: Exchange, server: ScriptedServer
) -> None:
    asked = replace(asked, request_url=f"{server.url}/github/idtoken{query}")
    workload_identity.subject_token(asked, exchange)
    (seen,) = server.seen
    before = parse_qs(query[1:], keep_blank_values=True)
    assert parse_qs(urlsplit(seen.path).query, keep_blank_values=True) == before | {"audience": [AUDIENCE]}


@pytest.mark.parametrize("token", ["", "a.b.c", "one", "a.e30", "a.!!.c", jwt(), "a.bnVsbA.c", "a.W10.c"])
def test_unreadable_claims(token: str) -> None:
    assert unverified_claims(token) == {}


def test_names() -> None:
    pool = "projects/123456789012/locations/global/workloadIdentityPools/github"
    assert names(PROVIDER, None) == {
        "provider": PROVIDER,
        "number": "123456789012",
        "pool": pool,
        "audience": AUDIENCE,
        "service_account": "ACCOUNT",
        "project": "PROJECT",
        "role": "roles/iam.workloadIdentityUser",
        "member": f"principalSet://iam.googleapis.com/{pool}/attribute.repository/OWNER/REPOSITORY",
    }


def test_claims_become_names(asked: Federation, exchange: Exchange, server: ScriptedServer) -> None:
    claims = {
        name: name.upper() for name in ("repository", "repository_owner", "ref", "sub", "environment", "event_name")
    }
    subject = jwt(**claims, repository_owner_id="42", other="no")
    server.on("/github/idtoken", Reply(200, json.dumps({"value": subject})))
    identity = workload_identity.JobIdentity(asked, exchange)
    identity.fetch(PUBLISH_SCOPE)
    known = identity._exchange.names
    assert known["claims"] == ", ".join(f"{name}={value}" for name, value in claims.items())
    assert (known["issuer"], known["owner_id"]) == ("ISSUER", "42")
    assert known["member"].endswith("/attribute.repository/REPOSITORY")
