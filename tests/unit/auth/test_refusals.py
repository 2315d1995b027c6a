import json
import re
from typing import NamedTuple

import pytest

from gar_publish.auth import service_account_key, workload_identity
from gar_publish.auth.exchange import Exchange
from gar_publish.auth.refusals import OTHER, SERVICES, Reason, project_of
from gar_publish.errors import CredentialsFailure
from tests.unit.servers import Reply, ScriptedServer

PROVIDER = "projects/123456789012/locations/global/workloadIdentityPools/github/providers/github"
ACCOUNT = "publisher@demo-project.iam.gserviceaccount.com"
KEY = {"client_email": ACCOUNT, "private_key_id": "0123abcd"}
FEDERATION = workload_identity.names(PROVIDER, ACCOUNT) | {
    "claims": "repository=octo-org/hello, ref=refs/heads/main",
    "issuer": "https://token.actions.githubusercontent.com",
    "member": "principalSet://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools"
    "/github/attribute.repository/octo-org/hello",
}

STS = "https://sts.googleapis.com/v1/token"
IAM = f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken"
OAUTH = "https://oauth2.googleapis.com/token"
GITHUB = "https://pipelines.actions.githubusercontent.com/x/idtoken?api-version=2.0"
METADATA = "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token"


def oauth(error: str, description: str = "") -> str:
    return json.dumps({"error": error, "error_description": description})


def api(code: int, status: str, message: str, reason: str = "") -> str:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}]
    return json.dumps({"error": {"code": code, "message": message, "status": status, "details": details}})


DISABLED = api(
    403,
    "PERMISSION_DENIED",
    "IAM Service Account Credentials API has not been used in project 123 before or it is disabled.",
    "SERVICE_DISABLED",
)


class Case(NamedTuple):
    """A refusal, its anchor, and parts of its fix and its cause."""

    url: str
    status: int
    body: str
    anchor: str
    fix: str
    cause: str
    claims: str = ""


# Messages that were published, or that the vendor documents.
CASES = [
    Case(
        STS,
        401,
        oauth("unauthorized_client", "The given credential is rejected by the attribute condition."),
        "attribute-condition",
        f"gcloud iam workload-identity-pools providers describe {PROVIDER}",
        "repository=octo-org/hello, ref=refs/heads/main",
    ),
    Case(
        STS,
        401,
        oauth("unauthorized_client", "The given credential is rejected by the attribute condition."),
        "immutable-subject",
        f"providers update-oidc {PROVIDER} --attribute-condition=",
        "`sub` claim also contains numeric IDs",
        "repository=octo-org/hello, sub=repo:octo-org@5/hello@7:ref:refs/heads/main",
    ),
    Case(
        IAM,
        403,
        api(403, "PERMISSION_DENIED", "Permission 'iam.serviceAccounts.getAccessToken' denied on resource"),
        "immutable-subject",
        "add-iam-policy-binding",
        "a binding to the old form does not include this job",
        "sub=repo:octo-org@5/hello@7:environment:prod",
    ),
    Case(
        STS,
        400,
        oauth(
            "invalid_target",
            'The target service indicated by the "audience" parameters is invalid. This might either be because '
            "the pool or provider is disabled or deleted or because it doesn't exist.",
        ),
        "provider-missing",
        f"providers describe {PROVIDER}",
        "does not exist",
    ),
    Case(
        STS,
        400,
        oauth(
            "invalid_request",
            'Invalid value for "audience". This value should be the full resource name of the Identity Provider.',
        ),
        "provider-name",
        f"--workload-identity-pool={PROVIDER.partition('/providers/')[0]} ",
        PROVIDER,
    ),
    Case(
        STS,
        400,
        oauth("invalid_grant", "The audience in ID Token [x] does not match the expected audience."),
        "audience",
        f"--allowed-audiences=https://iam.googleapis.com/{PROVIDER}",
        "allowed audiences",
    ),
    Case(
        STS,
        400,
        oauth("invalid_grant", "The audience in JWT does not match the expected values."),
        "audience",
        "--allowed-audiences=",
        "allowed audiences",
    ),
    Case(
        STS,
        400,
        oauth("invalid_grant", "The issuer in ID Token a does not match the expected ones: b"),
        "issuer",
        "--issuer-uri=https://token.actions.githubusercontent.com",
        "another issuer",
    ),
    Case(
        STS,
        400,
        oauth("invalid_grant", "ID Token issued at 1700000000 is stale to sign-in."),
        "stale-token",
        "run the job again",
        "clock",
    ),
    Case(
        STS,
        400,
        oauth("invalid_grant", "The size of mapped attribute exceeds the 127 bytes limit."),
        "subject-too-long",
        "google.subject=assertion.repository_id",
        "127 bytes",
    ),
    Case(
        STS,
        400,
        oauth("invalid_grant", "Error connecting to the given credential's issuer."),
        "issuer-unreachable",
        "https://token.actions.githubusercontent.com/.well-known/openid-configuration",
        "keys",
    ),
    Case(STS, 403, DISABLED, "api-disabled", "gcloud services enable sts.googleapis.com", "disabled"),
    Case(STS, 418, "teapot", "credentials-refused", "run the same command again", ""),
    Case(
        IAM,
        403,
        api(
            403,
            "PERMISSION_DENIED",
            "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).",
            "IAM_PERMISSION_DENIED",
        ),
        "impersonation-denied",
        f"--project=demo-project --role=roles/iam.workloadIdentityUser --member='{FEDERATION['member']}'",
        "five minutes",
    ),
    Case(
        IAM,
        403,
        DISABLED,
        "api-disabled",
        "gcloud services enable iamcredentials.googleapis.com --project=123",
        "disabled in the project 123",
    ),
    Case(
        IAM,
        403,
        DISABLED.replace("123", "764086051850"),
        "quota-project",
        "gcloud auth application-default set-quota-project demo-project",
        "for the project 764086051850",
    ),
    Case(
        IAM,
        403,
        api(403, "PERMISSION_DENIED", "Caller does not have required permission to use project p-1."),
        "quota-project",
        "gcloud auth application-default set-quota-project PROJECT",
        "roles/serviceusage.serviceUsageConsumer",
    ),
    Case(
        IAM,
        404,
        api(404, "NOT_FOUND", "Not found; Gaia id not found for email x@y"),
        "account-missing",
        "gcloud iam service-accounts list --project=demo-project",
        "the service account does not exist",
    ),
    Case(
        IAM,
        400,
        api(400, "INVALID_ARGUMENT", "The access token lifetime cannot exceed 3600 seconds."),
        "clock-skew",
        "NTP",
        "clock",
    ),
    Case(
        OAUTH,
        400,
        oauth("invalid_grant", "Invalid JWT Signature."),
        "key-deleted",
        f"gcloud iam service-accounts keys list --iam-account={ACCOUNT}",
        "0123abcd was deleted",
    ),
    Case(
        OAUTH,
        400,
        oauth("invalid_grant", "Invalid grant: account not found"),
        "account-missing",
        "--project=demo-project",
        "deleted",
    ),
    Case(
        OAUTH,
        400,
        oauth(
            "invalid_grant",
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
            "Check your iat and exp values in the JWT claim.",
        ),
        "clock-skew",
        "timedatectl",
        "clock is wrong",
    ),
    *(
        Case(
            url,
            403,
            # As https://github.com/cloudquery/cloudquery/issues/1062 shows it for another API.
            api(
                403,
                "PERMISSION_DENIED",
                "Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: eYhDkfYCu",
                "SECURITY_POLICY_VIOLATED",
            ),
            "perimeter",
            "gcloud logging read IDENTIFIER",
            "VPC Service Controls",
        )
        for url in (STS, IAM)
    ),
    Case(
        OAUTH,
        400,
        # https://github.com/googleapis/google-api-ruby-client/issues/720
        oauth("invalid_grant", "Robot is disabled."),
        "account-disabled",
        f"gcloud iam service-accounts keys enable 0123abcd --iam-account={ACCOUNT}",
        "disabled",
    ),
    Case(
        OAUTH,
        400,
        oauth("invalid_grant", "Invalid JWT: iat (issued at) is not set."),
        "clock-skew",
        "timedatectl",
        "clock is wrong",
    ),
    Case(
        OAUTH,
        400,
        oauth("invalid_scope", "Invalid OAuth scope or ID token audience provided."),
        "login-expired",
        "gcloud auth application-default login",
        "scope",
    ),
    Case(
        STS,
        400,
        oauth(
            "invalid_grant",
            "The audience in ID Token [https://github.com/octo-org] does not match the expected audience x.",
        ),
        "audience",
        f"--allowed-audiences=https://iam.googleapis.com/{PROVIDER}",
        "not one of them",
    ),
    Case(
        OAUTH,
        400,
        oauth("invalid_grant", "The account is disabled"),
        "account-disabled",
        f"gcloud iam service-accounts enable {ACCOUNT}",
        "disabled",
    ),
    Case(
        OAUTH,
        400,
        oauth("invalid_grant", "Token has been expired or revoked."),
        "login-expired",
        "gcloud auth application-default login",
        "expired",
    ),
    Case(
        OAUTH,
        400,
        oauth("invalid_scope", "Bad Request"),
        "login-expired",
        "gcloud auth application-default login",
        "scope",
    ),
    Case(GITHUB, 403, "Forbidden", "id-token-permission", "id-token: write", "permission", claims="none"),
    Case(GITHUB, 403, "Forbidden", "id-token-permission", "run the job again", "earlier in this run"),
    Case(GITHUB, 404, "Not found", "credentials-refused", "run the same command again", ""),
    Case(METADATA, 404, "Not found", "metadata-account", "cloudbuild.yaml", "no service account"),
    Case("https://idp.example/", 400, "no", "credentials-refused", "run the same command again", ""),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.url[8:20]}-{case.anchor}")
def test_every_known_reason(case: Case, exchange: Exchange, server: ScriptedServer) -> None:
    server.on("/", Reply(case.status, case.body))
    exchange.names.update(service_account_key.names(KEY) if case.url == OAUTH else FEDERATION)
    if case.claims:
        exchange.names["claims"] = case.claims
    with pytest.raises(CredentialsFailure) as caught:
        exchange(case.url, "POST")
    failure = caught.value
    assert failure.exit_code == 3
    assert failure.anchor == case.anchor
    assert case.fix in failure.fix
    assert case.cause in failure.cause
    service = next(each for each in SERVICES if re.search(each.url, case.url)) if "idp." not in case.url else OTHER
    assert failure.what == f"{service.what} (HTTP {case.status}).".replace("{service_account}", ACCOUNT)
    assert re.match(r"[A-Z][a-z]", failure.what)
    assert failure.detail


def test_every_row_has_a_case() -> None:
    rows = {reason.anchor for service in SERVICES for reason in service.reasons}
    assert rows <= {case.anchor for case in CASES}


@pytest.mark.parametrize("reason", [row for service in SERVICES for row in service.reasons], ids=lambda row: row.anchor)
def test_rows_follow_likely_cause_and_fix(reason: Reason) -> None:
    """They are parts of sentences, so they begin in lower case, and have no full stop."""
    assert re.fullmatch(r"(?:[a-z`]|Google|GitHub).*[^.\sX]", reason.cause)
    assert re.fullmatch(r"[a-z].*[^.\sX]", reason.fix, re.DOTALL)


def test_the_servers_message_is_kept(exchange: Exchange, server: ScriptedServer) -> None:
    server.on("/", Reply(400, oauth("invalid_grant", "Bad Request")))
    with pytest.raises(CredentialsFailure) as caught:
        exchange(STS, "POST")
    assert caught.value.detail == "invalid_grant: Bad Request"


def test_tokens_in_the_servers_message_are_hidden(exchange: Exchange, server: ScriptedServer) -> None:
    token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln"
    for body in (oauth("invalid_grant", f"Bad token {token}"), f"Bad token {token} and ya29.abc_DEF-1"):
        server.on("/", Reply(400, body))
        with pytest.raises(CredentialsFailure) as caught:
            exchange(STS, "POST")
        assert "[hidden]" in caught.value.detail
        assert token not in caught.value.explain()
        assert "ya29" not in caught.value.explain()


def test_missing_names_are_shown_in_capitals(exchange: Exchange, server: ScriptedServer) -> None:
    server.on("/", Reply(403, "Permission 'iam.serviceAccounts.getAccessToken' denied"))
    with pytest.raises(CredentialsFailure) as caught:
        exchange(IAM, "POST")
    assert "add-iam-policy-binding SERVICE_ACCOUNT --project=PROJECT" in caught.value.fix


@pytest.mark.parametrize(
    ("account", "project"),
    [
        (ACCOUNT, "demo-project"),
        ("publisher@old.example.com.iam.gserviceaccount.com", "example.com:old"),
        ("123456789012-compute@developer.gserviceaccount.com", "PROJECT"),
        ("", "PROJECT"),
    ],
)
def test_project_of(account: str, project: str) -> None:
    assert project_of(account) == project
