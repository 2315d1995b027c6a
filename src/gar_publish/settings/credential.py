"""The credential that the inputs name, and how each kind of credential is read."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gar_publish.errors import BadInput, CredentialsFailure

_KINDS = ("workload-identity-provider", "credentials-json", "json-key", "access-token")
_PROVIDER = re.compile(r"projects/([^/\s]+)/locations/global/workloadIdentityPools/[a-z0-9-]+/providers/[a-z0-9-]+")
_STORE_KEY = "store the whole file as a secret\n  gh secret set GAR_KEY < key.json"
_ANY_REPOSITORY = "OWNER/REPOSITORY"
_ACCOUNT = re.compile(r"[A-Za-z0-9._-]+@[A-Za-z0-9.-]+")
_OF_BOOTSTRAP = "github--"
"""How the ids of the pools begin that `gar-publish bootstrap` makes. Their providers map only ids."""


@dataclass(frozen=True)
class Federation:
    """Workload identity: an identity token of the job, from GitHub, is exchanged for an access token of Google's.

    Attributes:
        provider: The provider's full resource name, without a scheme or host.
        service_account: The e-mail address of the account to impersonate, or None.
        request_url: The URL that issues identity tokens (`ACTIONS_ID_TOKEN_REQUEST_URL`).
        request_token: The bearer token for that URL.
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
    """A service-account key that the registry accepts as a password, without an access token.

    Attributes:
        value: The JSON of the key, as base64.
    """

    value: str = field(repr=False)


@dataclass(frozen=True)
class GivenToken:
    """An access token that exists already."""

    value: str = field(repr=False)


@dataclass(frozen=True)
class Ambient:
    """The credentials of the machine: a metadata server, a credentials file, or gcloud's login."""


Credential = Federation | Key | KeyPassword | GivenToken | Ambient


def read_credential(inputs: Mapping[str, str], environment: Mapping[str, str]) -> Credential:
    """Return the credential that the inputs name; without any, the ambient one.

    Raises:
        BadInput: Two kinds are given, or half of one, or one is malformed.
        CredentialsFailure: The job may not request identity tokens.
    """
    values = {name: inputs.get(name, "").strip() for name in (*_KINDS, "service-account")}
    given = [name for name in _KINDS if values[name]]
    named = [f"`{name}`".replace("json-key", "--json-key") for name in given]
    account = values["service-account"]
    if len(given) > 1:
        raise BadInput(
            f"{' and '.join(named)} are both set; only one can be used.",
            fix="keep only one; `workload-identity-provider` is the safest",
            anchor="one-credential",
        )
    if account and given != ["workload-identity-provider"]:
        raise BadInput(
            "`service-account` is set, but `workload-identity-provider` is missing.",
            cause="`service-account` works only with workload identity federation"
            + (f"; {named[0]} already identifies an account" if given else ""),
            fix="remove `service-account`" if given else "set `workload-identity-provider`",
            anchor="one-credential",
        )
    if not given:
        return Ambient()
    text = values[given[0]]
    match given[0]:
        case "workload-identity-provider":
            return _federation(text, account, environment)
        case "credentials-json":
            return Key(parse_key(text))
        case "json-key":
            return read_key_password(text)
    return GivenToken(_access_token(text))


def member(credential: Credential, environment: Mapping[str, str]) -> str:
    """Return the name that IAM has for the credential's identity, or the word MEMBER if only the token tells.

    https://cloud.google.com/iam/docs/principal-identifiers
    """
    match credential:
        case Federation(service_account=str(account)):
            return f"serviceAccount:{account}"
        case Federation(provider=provider):
            return jobs_of(
                provider.partition("/providers/")[0],
                environment.get("GITHUB_REPOSITORY") or _ANY_REPOSITORY,
                environment.get("GITHUB_REPOSITORY_ID") or "REPOSITORY_ID",
            )
        case Key(info=info):
            return f"serviceAccount:{info['client_email']}"
        case KeyPassword(value=key):
            return f"serviceAccount:{parse_key(key)['client_email']}"
    return "MEMBER"


def jobs_of(pool: str, repository: str, repository_id: str) -> str:
    """Return the IAM member for the jobs of a GitHub repository, by an attribute that the pool's provider likely maps.

    https://cloud.google.com/iam/docs/principal-identifiers

    Args:
        pool: The pool's full name.
        repository: `OWNER/NAME`.
        repository_id: GitHub's number for it.
    """
    maps_ids = pool.rpartition("/")[2].startswith(_OF_BOOTSTRAP)
    attribute = f"repository_id/{repository_id}" if maps_ids else f"repository/{repository}"
    return f"principalSet://iam.googleapis.com/{pool}/attribute.{attribute}"


def name_of(member: str) -> str:
    """Return a member of IAM in the words of a message: the address of an account, or "this identity"."""
    kind, _, name = member.partition(":")
    if kind in {"serviceAccount", "user"}:
        return name
    repository = name.partition("/attribute.repository/")[2]
    return f"the jobs of {repository}" if repository not in {"", _ANY_REPOSITORY} else "this identity"


def parse_key(text: str, *, given_as: str = "credentials-json") -> Mapping[str, Any]:
    """Return a service-account key that is given as JSON or as base64 of it.

    Args:
        text: The key.
        given_as: The input or option that it came from.

    Raises:
        BadInput: It is not a service-account key. The message never shows the text.
    """
    raw = text.strip().lstrip("\ufeff")
    if not raw.startswith("{"):
        try:
            raw = base64.b64decode("".join(raw.split()), validate=True).decode("utf-8-sig")
        except ValueError:
            raise BadInput(
                f"`{given_as}` is neither JSON nor base64-encoded JSON.",
                cause="the key was truncated or altered when it was pasted; a shell may have expanded `$` or removed "
                "quotes",
                fix=_STORE_KEY,
                anchor="key-format",
            ) from None
    try:
        info = json.loads(raw)
    except (ValueError, RecursionError):
        raise BadInput(
            f"`{given_as}` is not valid JSON.",
            cause="the key was truncated or altered when it was pasted",
            fix=_STORE_KEY,
            anchor="key-format",
        ) from None
    kind = info.get("type") if isinstance(info, dict) else None
    if kind != "service_account":
        found = f"type {kind[:40]!r}" if isinstance(kind, str) else "no type"
        raise BadInput(
            f"`{given_as}` is not a service-account key (found: {found}).",
            cause="the file is an OAuth client, user credentials of `gcloud auth application-default login`, or a "
            "workload identity federation configuration",
            fix="create a service-account key\n"
            "  gcloud iam service-accounts keys create key.json --iam-account=ACCOUNT",
            anchor="key-format",
        )
    missing = [
        part for part in ("client_email", "private_key", "private_key_id") if not isinstance(info.get(part), str)
    ]
    if missing:
        raise BadInput(
            f"`{given_as}` is a service-account key without {', '.join(missing)}.",
            fix=_STORE_KEY,
            anchor="key-format",
        )
    return dict(info)


def read_key_password(text: str) -> KeyPassword:
    """Check a key as `parse_key` does, and return it as Artifact Registry expects it: base64 on one line.

    Raises:
        BadInput: It is not a service-account key.
    """
    parse_key(text, given_as="--json-key")
    raw = text.strip().lstrip("\ufeff")
    return KeyPassword(base64.b64encode(raw.encode()).decode() if raw.startswith("{") else "".join(raw.split()))


def _federation(provider: str, account: str, environment: Mapping[str, str]) -> Federation:
    name = provider.removeprefix("https:").removeprefix("//iam.googleapis.com/").strip("/")
    path = _PROVIDER.fullmatch(name)
    if not path:
        raise BadInput(
            f"`workload-identity-provider` is not the full name of a provider: {provider}",
            cause="the value is the name of the pool, or the short name of the provider",
            fix="use the full name, which this prints\n"
            "  gcloud iam workload-identity-pools providers describe PROVIDER --workload-identity-pool=POOL "
            "--location=global --project=PROJECT --format='value(name)'",
            anchor="provider-name",
        )
    if not path[1].isdigit():
        raise BadInput(
            f"`workload-identity-provider` contains the project ID ({path[1]}) instead of the project number.",
            fix="replace the project ID with the number that this prints\n"
            f"  gcloud projects describe {path[1]} --format='value(projectNumber)'",
            anchor="provider-name",
        )
    if account and not _ACCOUNT.fullmatch(account):
        raise BadInput(
            f"`service-account` is not an e-mail address: {account}",
            fix="use the form NAME@PROJECT.iam.gserviceaccount.com",
            anchor="service-account",
        )
    url = environment.get("ACTIONS_ID_TOKEN_REQUEST_URL", "")
    token = environment.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "")
    if not url or not token:
        raise CredentialsFailure(
            "This job may not request an identity token from GitHub, so workload identity cannot work here.",
            cause="the job lacks the permission `id-token: write`, which a pull request from a fork never has: "
            "`dry-run: build` can check it",
            fix="add these permissions to the job\n    permissions:\n      contents: read\n      id-token: write",
            anchor="id-token-permission",
        )
    return Federation(name, account or None, url, token)


def _access_token(text: str) -> str:
    if not re.fullmatch(r"[\x21-\x7e]+", text):
        raise BadInput(
            "`access-token` contains spaces or other characters that are not valid in a token.",
            cause="it contains more than the token, for example the `Bearer` prefix",
            fix="pass only the token, as printed by\n  gcloud auth print-access-token",
            anchor="access-token",
        )
    return text
