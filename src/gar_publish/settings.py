"""What was asked: every input, checked before anything starts."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, get_args

from packaging.version import InvalidVersion, Version

from gar_publish.endpoints import Endpoints
from gar_publish.errors import BadInput, CredentialsFailure
from gar_publish.repository import Repository

Format = Literal["wheel", "sdist"]
IfExists = Literal["skip-identical", "skip", "fail"]
IndexToken = Literal["auto", "read-only", "publisher", "none"]


class Input(NamedTuple):
    """One input of the contract, the same in `action.yml` and on the command line."""

    name: str
    default: str
    help: str
    kind: Literal["text", "lines", "flag", "secret"] = "text"


REPOSITORY_INPUTS = (
    Input(
        "repository",
        "",
        "Where to: LOCATION/PROJECT/REPOSITORY, a resource name, a URL, or a bare name with project and location",
    ),
    Input("project", "", "Google Cloud project, with a bare repository name"),
    Input("location", "", "Region or multi-region, with a bare repository name"),
)
CREDENTIAL_INPUTS = (
    Input(
        "workload-identity-provider",
        "",
        "projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER",
    ),
    Input("service-account", "", "Impersonate this account; without it the federated identity is used directly"),
    Input("credentials-json", "", "A service-account key: raw JSON or base64 of it", "secret"),
    Input("access-token", "", "A token that another step already made", "secret"),
)
INDEX_TOKEN_INPUT = Input("index-token", "auto", "What the ready line carries: read-only, publisher, none or auto")
PUBLISH_INPUTS = (
    Input("packages", ".", "Project folders or globs, one a line", "lines"),
    Input("dist", "", "Files, folders or globs that are built already; then nothing is built", "lines"),
    Input("formats", "wheel", "wheel, sdist, or both, comma-separated"),
    Input("if-exists", "skip-identical", "skip-identical, skip or fail"),
    Input("expected-version", "", "Refuse to publish any other version"),
    INDEX_TOKEN_INPUT,
    Input("dry-run", "false", "Build, check, authenticate and compare; upload nothing", "flag"),
    Input("verify", "true", "Read every file back from the index and compare its SHA-256", "flag"),
    Input("create-repository", "false", "Create the repository when it is missing", "flag"),
    Input("jobs", "0", "How many uploads at once; 0 picks"),
    Input("summary", "true", "Write the step summary", "flag"),
)
INPUTS = REPOSITORY_INPUTS + CREDENTIAL_INPUTS + PUBLISH_INPUTS

_PROVIDER = re.compile(r"projects/([^/]+)/locations/global/workloadIdentityPools/[^/]+/providers/[^/]+")
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


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
class GivenToken:
    """An access token that somebody else made."""

    value: str = field(repr=False)


@dataclass(frozen=True)
class Ambient:
    """Whatever the machine offers: a metadata server, a credentials file, gcloud's login."""


Credential = Federation | Key | GivenToken | Ambient


@dataclass(frozen=True)
class Settings:
    """All inputs of a publishing run, in the types that the inner modules use."""

    repository: Repository
    credential: Credential
    packages: tuple[str, ...]
    dist: tuple[str, ...]
    formats: frozenset[Format]
    if_exists: IfExists
    expected_version: Version | None
    index_token: IndexToken
    dry_run: bool
    verify: bool
    create_repository: bool
    jobs: int
    summary: bool

    @classmethod
    def from_inputs(
        cls, inputs: Mapping[str, str], *, environment: Mapping[str, str], endpoints: Endpoints
    ) -> "Settings":
        """Check every input.

        Args:
            inputs: The inputs by their names in `action.yml`; one that is absent or blank takes its default.
            environment: Where the runner's variables for subject tokens are looked up.
            endpoints: What the repository's URLs are made from.

        Raises:
            BadInput: An input is wrong or contradicts another.
            CredentialsFailure: Workload identity is asked for where the job may not have it.
        """
        get = _reader(inputs)
        credential = read_credential(inputs, environment)
        return cls(
            repository=read_repository(inputs, endpoints),
            credential=credential,
            packages=_lines(get("packages")),
            dist=_lines(get("dist")),
            formats=_formats(get("formats")),
            if_exists=_choice("if-exists", get("if-exists"), get_args(IfExists)),
            expected_version=_version(get("expected-version")),
            index_token=read_index_token(inputs, credential),
            dry_run=_boolean("dry-run", get("dry-run")),
            verify=_boolean("verify", get("verify")),
            create_repository=_boolean("create-repository", get("create-repository")),
            jobs=_count("jobs", get("jobs")),
            summary=_boolean("summary", get("summary")),
        )


def read_repository(inputs: Mapping[str, str], endpoints: Endpoints) -> Repository:
    """The repository that the three inputs `repository`, `project` and `location` name."""
    get = _reader(inputs)
    return Repository.parse(get("repository"), project=get("project"), location=get("location"), endpoints=endpoints)


def read_index_token(inputs: Mapping[str, str], credential: Credential) -> IndexToken:
    """What the ready line is to carry."""
    wanted: IndexToken = _choice("index-token", _reader(inputs)("index-token"), get_args(IndexToken))
    if wanted == "read-only" and isinstance(credential, GivenToken):
        raise BadInput(
            "`index-token: read-only` cannot be had with `access-token`.",
            cause="a token that was given cannot be made weaker",
            fix="use `workload-identity-provider` or `credentials-json`, or set `index-token: none`",
            anchor="index-token",
        )
    return wanted


def read_credential(inputs: Mapping[str, str], environment: Mapping[str, str]) -> Credential:
    """The one kind of credential that the inputs name; none of them set means ambient.

    Raises:
        BadInput: Two kinds are given, or half of one, or one is malformed.
        CredentialsFailure: The job may not ask for subject tokens.
    """
    get = _reader(inputs)
    provider, account = get("workload-identity-provider"), get("service-account")
    key, token = get("credentials-json"), get("access-token")
    given = [
        name
        for name, value in (
            ("workload-identity-provider", provider),
            ("credentials-json", key),
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
    if token:
        return GivenToken(_access_token(token))
    return Ambient()


def parse_key(text: str) -> Mapping[str, Any]:
    """Read a service-account key given as raw JSON or as base64 of it.

    Raises:
        BadInput: It is neither, or the JSON is not a service-account key. The text itself is never shown.
    """
    raw = text.strip()
    if not raw.startswith("{"):
        try:
            raw = base64.b64decode("".join(raw.split()), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise BadInput(
                "`credentials-json` is neither JSON nor base64 of JSON.",
                cause="the key was cut off or changed when it was pasted; quotes and `$` are often lost in a shell",
                fix="store the whole file as a secret: gh secret set GAR_KEY < key.json",
                anchor="key-format",
            ) from None
    try:
        info = json.loads(raw)
    except ValueError:
        raise BadInput(
            "`credentials-json` is not valid JSON.",
            cause="the key was cut off or changed when it was pasted",
            fix="store the whole file as a secret: gh secret set GAR_KEY < key.json",
            anchor="key-format",
        ) from None
    kind = info.get("type") if isinstance(info, dict) else None
    if kind != "service_account":
        found = f"of type {kind[:40]!r}" if isinstance(kind, str) else "without a type"
        raise BadInput(
            f"`credentials-json` is a credential {found}, not a service-account key.",
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
            f"`credentials-json` is a service-account key without {' and '.join(missing)}.",
            fix="store the whole file as a secret: gh secret set GAR_KEY < key.json",
            anchor="key-format",
        )
    return dict(info)


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
    if account and "@" not in account:
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


def _reader(inputs: Mapping[str, str]) -> Any:
    defaults = {each.name: each.default for each in INPUTS}
    return lambda name: inputs.get(name, "").strip() or defaults[name]


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _boolean(name: str, text: str) -> bool:
    if text not in _BOOLEANS:
        raise BadInput(f"`{name}` is {text!r}; it takes true or false.", fix=f"{name}: true", anchor="booleans")
    return _BOOLEANS[text]


def _choice(name: str, text: str, choices: tuple[Any, ...]) -> Any:
    if text not in choices:
        listed = ", ".join(choices)
        raise BadInput(
            f"`{name}` is {text!r}; it takes one of {listed}.", fix=f"{name}: {choices[0]}", anchor="choices"
        )
    return text


def _formats(text: str) -> frozenset[Format]:
    names = [part.strip() for part in re.split(r"[,\n]", text) if part.strip()]
    return frozenset(_choice("formats", name, get_args(Format)) for name in names)


def _count(name: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", text):
        raise BadInput(f"`{name}` is {text!r}; it takes a number from 0 to 999.", fix=f"{name}: 0", anchor="choices")
    return int(text)


def _version(text: str) -> Version | None:
    if not text:
        return None
    try:
        return Version(text)
    except InvalidVersion:
        raise BadInput(
            f"`expected-version` is not a version: {text}",
            cause="a Python version looks like 1.2.3; a tag like v1.2.3 is fine, a branch name is not",
            fix="see https://packaging.python.org/en/latest/specifications/version-specifiers/",
            anchor="expected-version",
        ) from None
