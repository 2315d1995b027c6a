"""Who publishes: the one kind of credential that the inputs name."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gar_publish.errors import BadInput, CredentialsFailure

_PROVIDER = re.compile(r"projects/([^/\s]+)/locations/global/workloadIdentityPools/[a-z0-9-]+/providers/[a-z0-9-]+")

_ACCOUNT = re.compile(r"[A-Za-z0-9._-]+@[A-Za-z0-9.-]+")


@dataclass(frozen=True)
class Federation:
    """Workload identity: GitHub vouches for the job, Google exchanges that for a token.

    Attributes:
        provider: The provider's full resource name, without a scheme or host.
        service_account: The e-mail address of the account to impersonate, or None.
        request_url: Where the runner hands out subject tokens (`ACTIONS_ID_TOKEN_REQUEST_URL`).
        request_token: The bearer token for it.
    """

    provider: str
    service_account: str | None
    request_url: str
    request_token: str = field(repr=False)


@dataclass(frozen=True)
class Key:
    """A service-account key, parsed."""

    info: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class KeyPassword:
    """A service-account key that the registry takes as a password: it is exchanged for nothing.

    Attributes:
        value: The key's JSON in base64.
    """

    value: str = field(repr=False)


@dataclass(frozen=True)
class GivenToken:
    """An access token that somebody else made."""

    value: str = field(repr=False)


@dataclass(frozen=True)
class Ambient:
    """Whatever the machine offers: a metadata server, a credentials file, gcloud's login."""


Credential = Federation | Key | KeyPassword | GivenToken | Ambient


def read_credential(inputs: Mapping[str, str], environment: Mapping[str, str]) -> Credential:
    """The one kind of credential that the inputs name; none of them set means ambient.

    Raises:
        BadInput: Two kinds are given, or half of one, or one is malformed.
        CredentialsFailure: The job may not ask for subject tokens.
    """
    provider, account, key, password, token = (
        inputs.get(name, "").strip()
        for name in ("workload-identity-provider", "service-account", "credentials-json", "json-key", "access-token")
    )
    given = [
        name
        for name, value in (
            ("workload-identity-provider", provider),
            ("credentials-json", key),
            ("json-key", password),
            ("access-token", token),
        )
        if value
    ]
    if len(given) > 1:
        raise BadInput(
            f"{' and '.join(f'`{name}`' for name in given)} are both given; only one can be used.",
            fix="keep one of them, best of all `workload-identity-provider`",
            anchor="one-credential",
        )
    if account and not provider:
        raise BadInput(
            "`service-account` is given, but `workload-identity-provider` is missing.",
            cause="an account is impersonated by a federated identity; "
            + (f"`{given[0]}` brings an identity of its own" if given else "without the provider there is none"),
            fix="set `workload-identity-provider`"
            + (f", or remove `service-account` and keep `{given[0]}`" if given else ""),
            anchor="one-credential",
        )
    if provider:
        return _federation(provider, account, environment)
    if key:
        return Key(parse_key(key))
    if password:
        return read_key_password(password)
    if token:
        return GivenToken(_access_token(token))
    return Ambient()


def member(credential: Credential, environment: Mapping[str, str]) -> str:
    """How IAM names whoever publishes; the word MEMBER where only the token's maker knows.

    https://cloud.google.com/iam/docs/principal-identifiers
    """
    match credential:
        case Federation(service_account=str(account)):
            return f"serviceAccount:{account}"
        case Federation(provider=provider):
            pool = provider.partition("/providers/")[0]
            repository = environment.get("GITHUB_REPOSITORY") or "OWNER/REPOSITORY"
            return f"principalSet://iam.googleapis.com/{pool}/attribute.repository/{repository}"
        case Key(info=info):
            return f"serviceAccount:{info['client_email']}"
    return "MEMBER"


def parse_key(text: str, *, given_as: str = "credentials-json") -> Mapping[str, Any]:
    """Read a service-account key given as raw JSON or as base64 of it.

    Args:
        text: The key.
        given_as: The input that it came from.

    Raises:
        BadInput: It is neither, or the JSON is not a service-account key. The text itself is never shown.
    """
    raw = text.strip().lstrip("\ufeff")
    if not raw.startswith("{"):
        try:
            raw = base64.b64decode("".join(raw.split()), validate=True).decode("utf-8-sig")
        except ValueError:
            raise BadInput(
                f"`{given_as}` is neither JSON nor base64 of JSON.",
                cause="the key was cut off or changed when it was pasted; quotes and `$` are often lost in a shell",
                fix="store the whole file as a secret: gh secret set GAR_KEY < key.json",
                anchor="key-format",
            ) from None
    try:
        info = json.loads(raw)
    except (ValueError, RecursionError):
        raise BadInput(
            f"`{given_as}` is not valid JSON.",
            cause="the key was cut off or changed when it was pasted",
            fix="store the whole file as a secret: gh secret set GAR_KEY < key.json",
            anchor="key-format",
        ) from None
    kind = info.get("type") if isinstance(info, dict) else None
    if kind != "service_account":
        found = f"of type {kind[:40]!r}" if isinstance(kind, str) else "without a type"
        raise BadInput(
            f"`{given_as}` is a credential {found}, not a service-account key.",
            cause="an OAuth client, a login or a workload-identity configuration was taken for the key",
            fix="gcloud iam service-accounts keys create key.json --iam-account=ACCOUNT, "
            "or use `workload-identity-provider` and no key at all",
            anchor="key-format",
        )
    missing = [
        part for part in ("client_email", "private_key", "private_key_id") if not isinstance(info.get(part), str)
    ]
    if missing:
        raise BadInput(
            f"`{given_as}` is a service-account key without {' and '.join(missing)}.",
            fix="store the whole file as a secret: gh secret set GAR_KEY < key.json",
            anchor="key-format",
        )
    return dict(info)


def read_key_password(text: str) -> KeyPassword:
    """Read a key as `parse_key` does, and write it as Artifact Registry wants it: base64 in one line.

    Raises:
        BadInput: It is no service-account key.
    """
    parse_key(text, given_as="json-key")
    raw = text.strip().lstrip("\ufeff")
    return KeyPassword(base64.b64encode(raw.encode()).decode() if raw.startswith("{") else "".join(raw.split()))


def _federation(provider: str, account: str, environment: Mapping[str, str]) -> Federation:
    name = provider.removeprefix("https:").removeprefix("//iam.googleapis.com/").strip("/")
    path = _PROVIDER.fullmatch(name)
    if not path:
        raise BadInput(
            f"`workload-identity-provider` is not the full name of a provider: {provider}",
            cause="the pool's name, or the provider's short name, was given",
            fix="gcloud iam workload-identity-pools providers describe PROVIDER --workload-identity-pool=POOL "
            "--location=global --project=PROJECT --format='value(name)'",
            anchor="provider-name",
        )
    if not path[1].isdigit():
        raise BadInput(
            f"`workload-identity-provider` names the project by its id ({path[1]}); Google wants its number there.",
            fix=f"gcloud projects describe {path[1]} --format='value(projectNumber)'",
            anchor="provider-name",
        )
    if account and not _ACCOUNT.fullmatch(account):
        raise BadInput(
            f"`service-account` is not an e-mail address: {account}",
            fix="give it as NAME@PROJECT.iam.gserviceaccount.com",
            anchor="service-account",
        )
    url = environment.get("ACTIONS_ID_TOKEN_REQUEST_URL", "")
    token = environment.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "")
    if not url or not token:
        raise CredentialsFailure(
            "This job may not ask GitHub for an identity token, so workload identity cannot work here.",
            cause="the job lacks the permission, or it runs for a pull request from a fork, which never gets it",
            fix="add to the job\n    permissions:\n      contents: read\n      id-token: write",
            anchor="id-token-permission",
        )
    return Federation(name, account or None, url, token)


def _access_token(text: str) -> str:
    if not re.fullmatch(r"[\x21-\x7e]+", text):
        raise BadInput(
            "`access-token` holds blanks or characters that no token has.",
            cause="more than the token was given, such as a whole `Bearer …` header",
            fix="give what `gcloud auth print-access-token` prints",
            anchor="access-token",
        )
    return text
