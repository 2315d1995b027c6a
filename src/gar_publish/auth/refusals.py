"""The known refusals of token services: what the server says, the likely cause, and the fix."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import requests

from gar_publish.auth.http_auth import GCLOUD_PROJECT
from gar_publish.errors import CredentialsFailure
from gar_publish.transport.answers import counted_for, harmless, json_of, server_text


@dataclass(frozen=True)
class Reason:
    """One row of the table. `says` matches the server's answer, and `claims` the claims of the job's identity token.

    `cause` and `fix` may have placeholders: `{provider}`, `{service_account}` and others.
    """

    says: str
    cause: str
    fix: str
    anchor: str
    claims: str = ""


@dataclass(frozen=True)
class Service:
    """One server: a pattern of its URL, what its refusal means, and the known reasons."""

    url: str
    what: str
    reasons: tuple[Reason, ...]


_DESCRIBE = "gcloud iam workload-identity-pools providers describe {provider}"
_UPDATE = "gcloud iam workload-identity-pools providers update-oidc {provider}"
_SHORT_CLAIMS = (
    "google.subject=assertion.repository_id,attribute.repository=assertion.repository,"
    "attribute.repository_id=assertion.repository_id,attribute.repository_owner_id=assertion.repository_owner_id"
)
_DISABLED = r"SERVICE_DISABLED|has not been used in project|API .*is disabled"
_PERIMETER = Reason(
    "vpcServiceControlsUniqueIdentifier|SECURITY_POLICY_VIOLATED",
    "a service perimeter of the organisation (VPC Service Controls) allows no access from this network",
    "ask its administrator to look up the identifier in the answer, and to allow this identity\n"
    "  gcloud logging read IDENTIFIER --project=PROJECT",
    "perimeter",
)
_IMMUTABLE = r"\bsub=repo:[^,]*@\d+/"
"""https://docs.github.com/en/actions/reference/security/oidc"""
_BIND = (
    "let the identity act as the service account\n"
    "  gcloud iam service-accounts add-iam-policy-binding {service_account} --project={project} "
    "--role={role} --member='{member}'"
)
_LOGIN = "log in again\n  gcloud auth application-default login"

GITHUB = Service(
    r"/idtoken|actions\.(githubusercontent\.com|[a-z0-9-]+\.ghe\.com)",
    "GitHub does not issue an identity token for this job",
    (
        Reason(
            r"HTTP 40[13]",
            "the job has ended or was cancelled, and with it ended its right to identity tokens: GitHub issued one to "
            "it earlier in this run",
            "run the job again",
            "id-token-permission",
            claims="=",
        ),
        Reason(
            r"HTTP 40[13]",
            "the job lacks the permission `id-token: write`, or the job has ended and with it the right to a token",
            "add these permissions to the job\n    permissions:\n      contents: read\n      id-token: write",
            "id-token-permission",
        ),
    ),
)

# https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token
# https://github.com/google-github-actions/auth/blob/main/docs/TROUBLESHOOTING.md
STS = Service(
    r"sts\.[\w.]*googleapis\.com",
    "Google's token service does not accept this identity",
    (
        Reason(
            "attribute condition",
            "the provider's attribute condition is false for this job: its `sub` claim also contains numeric IDs "
            "({claims})",
            "compare IDs instead; this replaces the whole condition\n"
            f"  {_UPDATE} --attribute-condition=\"assertion.repository_owner_id == '{{owner_id}}'\"",
            "immutable-subject",
            claims=_IMMUTABLE,
        ),
        Reason(
            "attribute condition",
            "the provider's attribute condition is false for this job, whose token says {claims}",
            "compare the claims with the condition; to allow all repositories of this owner, replace the condition\n"
            f"  {_DESCRIBE} --format='value(attributeCondition)'\n"
            f"  {_UPDATE} --attribute-condition=\"assertion.repository_owner_id == '{{owner_id}}'\"",
            "attribute-condition",
        ),
        Reason(
            r"invalid_target|target service indicated by",
            "the pool or the provider does not exist, is disabled or was deleted, "
            "or its name has another project's number",
            f"check the name and the state of the provider\n  {_DESCRIBE} --format='yaml(name,state,disabled)'",
            "provider-missing",
        ),
        Reason(
            'Invalid value for "audience"',
            "`workload-identity-provider` is not the full name of a provider: {provider}",
            "use one of the names that this lists\n"
            "  gcloud iam workload-identity-pools providers list --workload-identity-pool={pool} "
            "--format='value(name)'",
            "provider-name",
        ),
        Reason(
            r"audience in (ID Token|JWT).* does not match",
            "the provider has a list of allowed audiences, and {audience} is not one of them",
            f"allow this audience; this replaces the list\n  {_UPDATE} --allowed-audiences={{audience}}",
            "audience",
        ),
        Reason(
            "issuer in ID Token",
            "the provider trusts another issuer, not {issuer}",
            f"change the issuer of the provider\n  {_UPDATE} --issuer-uri={{issuer}}",
            "issuer",
        ),
        Reason(
            "stale to sign-in",
            "GitHub's token had expired when Google saw it, or a clock is wrong",
            "run the job again; on a self-hosted runner, set the clock by NTP",
            "stale-token",
        ),
        Reason(
            "127 bytes",
            "the attribute that is mapped to google.subject is longer than Google's limit of 127 bytes: "
            "GitHub's `sub` names the repository and the branch",
            "map a shorter attribute; this replaces the whole mapping, so add the other attributes that you use\n"
            f"  {_UPDATE} --attribute-mapping='{_SHORT_CLAIMS}'",
            "subject-too-long",
        ),
        Reason(
            "connecting to the given credential's issuer",
            "Google cannot read the issuer's keys at {issuer}",
            "make {issuer}/.well-known/openid-configuration public, or upload the issuer's keys\n"
            f"  {_UPDATE} --jwk-json-path=FILE",
            "issuer-unreachable",
        ),
        Reason(
            _DISABLED,
            "the Security Token Service API is disabled in the pool's project",
            "enable the API\n  gcloud services enable sts.googleapis.com --project={number}",
            "api-disabled",
        ),
        _PERIMETER,
    ),
)

IAM = Service(
    r"iamcredentials\.[\w.]*googleapis\.com",
    "Google does not let this identity act as {service_account}",
    (
        Reason(
            rf"projects?[/ ]{GCLOUD_PROJECT}\b",
            "Google counts this login's requests for the project {consumer}: the login has no quota project",
            "set the quota project of the login\n  gcloud auth application-default set-quota-project {project}",
            "quota-project",
        ),
        Reason(
            "USER_PROJECT_DENIED|required permission to use project",
            "the login lacks roles/serviceusage.serviceUsageConsumer on its quota project, {consumer}",
            "set a quota project on which the login has that role\n"
            "  gcloud auth application-default set-quota-project PROJECT",
            "quota-project",
        ),
        Reason(
            _DISABLED,
            "the IAM Service Account Credentials API is disabled in the project {consumer}",
            "enable the API\n  gcloud services enable iamcredentials.googleapis.com --project={consumer}",
            "api-disabled",
        ),
        _PERIMETER,
        Reason(
            r"getAccessToken|PERMISSION_DENIED",
            "the identity lacks {role} on the service account; the job's `sub` claim also contains numeric IDs "
            "({claims}), so a binding to the old form does not include this job",
            _BIND,
            "immutable-subject",
            claims=_IMMUTABLE,
        ),
        Reason(
            r"getAccessToken|PERMISSION_DENIED",
            "the identity lacks {role} on the service account, the service account does not exist, "
            "or the role was granted less than five minutes ago",
            _BIND,
            "impersonation-denied",
        ),
        Reason(
            "not found",
            "the service account does not exist",
            "use one of the service accounts that this lists\n  gcloud iam service-accounts list --project={project}",
            "account-missing",
        ),
        Reason(
            "lifetime cannot exceed",
            "this machine's clock is ahead, or the organisation does not allow tokens of this lifetime",
            "set the clock by NTP",
            "clock-skew",
        ),
    ),
)

# https://developers.google.com/identity/protocols/oauth2/service-account
OAUTH = Service(
    r"oauth2\.[\w.]*googleapis\.com",
    "Google does not accept the credential of {service_account}",
    (
        Reason(
            "Invalid JWT Signature",
            "the key {key_id} was deleted, or belongs to another service account",
            "create a new key and store it, or use `workload-identity-provider` and no key\n"
            "  gcloud iam service-accounts keys list --iam-account={service_account}\n"
            "  gcloud iam service-accounts keys create key.json --iam-account={service_account}",
            "key-deleted",
        ),
        Reason(
            "account not found",
            "the service account was deleted",
            "use one of the service accounts that this lists\n  gcloud iam service-accounts list --project={project}",
            "account-missing",
        ),
        Reason(
            "disabled",
            "the service account or the key is disabled",
            "enable the service account and the key again\n"
            "  gcloud iam service-accounts enable {service_account} --project={project}\n"
            "  gcloud iam service-accounts keys enable {key_id} --iam-account={service_account} --project={project}",
            "account-disabled",
        ),
        Reason(
            r"short-lived token|reasonable timeframe|\biat\b|\bexp\b",
            "this machine's clock is wrong by minutes",
            "synchronize the clock by NTP; on Linux\n  sudo timedatectl set-ntp true",
            "clock-skew",
        ),
        Reason(
            r"expired or revoked|invalid_rapt|reauth|invalid_client", "the login has expired", _LOGIN, "login-expired"
        ),
        Reason("invalid_scope", "this kind of login may not have the scope", _LOGIN, "login-expired"),
    ),
)

# https://cloud.google.com/compute/docs/metadata/overview
METADATA = Service(
    "computeMetadata",
    "The metadata server gives no token",
    (
        Reason(
            r"HTTP 40[34]",
            "no service account is attached to this machine, or its scopes do not include Artifact Registry",
            "attach one with the scope cloud-platform (Cloud Build: `serviceAccount:` in cloudbuild.yaml)",
            "metadata-account",
        ),
    ),
)

SERVICES = (METADATA, STS, IAM, OAUTH, GITHUB)
OTHER = Service("", "The server that issues this machine's identity token refuses", ())

UNKNOWN = Reason(
    "",
    "",
    "run the same command again; if the answer stays the same, check the identity in Google's console",
    "credentials-refused",
)


def explain(response: requests.Response, names: Mapping[str, str]) -> CredentialsFailure:
    """Return the failure for a refusal of GitHub, STS, IAM Credentials, OAuth or the metadata server.

    Args:
        response: An answer whose status is not 200.
        names: The values of the placeholders. A missing one is shown as its name in capitals.
    """
    service = next((each for each in SERVICES if re.search(each.url, response.url)), OTHER)
    body = server_text(response)
    message = _message(response) or body
    seen = f"HTTP {response.status_code}\n{message}\n{body}"
    known = _Names({**names, "consumer": counted_for(response) or names.get("project", "PROJECT")})
    reason = next((each for each in service.reasons if _matches(each, seen, known["claims"])), UNKNOWN)
    return CredentialsFailure(
        f"{service.what.format_map(known)} (HTTP {response.status_code}).",
        cause=reason.cause.format_map(known),
        fix=reason.fix.format_map(known),
        anchor=reason.anchor,
        detail=message,
    )


def _matches(reason: Reason, seen: str, claims: str) -> bool:
    return bool(re.search(reason.says, seen, re.IGNORECASE) and re.search(reason.claims, claims))


class _Names(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return name.upper()


def _message(response: requests.Response) -> str:
    """Return the message of an error of OAuth (RFC 6749, section 5.2) or of Google's APIs (AIP-193)."""
    try:
        body = json_of(response)
        error = body["error"]
        if isinstance(error, dict):
            text = f"{error.get('status') or error.get('code', '')}: {error['message']}".lstrip(": ")
        else:
            text = f"{error}: {body.get('error_description', '')}".rstrip(": ")
    except (KeyError, TypeError):
        return ""
    return harmless(text)[:1000]


def to_map_short_claims(provider: str) -> str:
    """Return the command with which a provider maps only claims that are short."""
    return f"{_UPDATE.format(provider=provider)} --attribute-mapping='{_SHORT_CLAIMS}'"


def project_of(account: str) -> str:
    """Return the project in an account's address, which has `example.com:project` the other way round."""
    found = re.fullmatch(r"[^@]+@([^.@]+)(?:\.([^@]+))?\.iam\.gserviceaccount\.com", account)
    if not found:
        return "PROJECT"
    return f"{found[2]}:{found[1]}" if found[2] else found[1]
