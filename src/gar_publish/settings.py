"""What was asked: every input, checked before anything starts."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from packaging.version import Version

from gar_publish.endpoints import Endpoints
from gar_publish.errors import BadInput
from gar_publish.identity import Credential, GivenToken, KeyPassword, read_credential
from gar_publish.repository import Repository

if TYPE_CHECKING:
    from gar_publish.pins import Pin

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
JSON_KEY_OPTION = Input("json-key", "", "This service-account key as the password, exchanged for nothing", "secret")
"""Of the command line alone."""

CHANGED_SINCE_OPTION = Input(
    "changed-since", "", "Only what has changed since this commit, branch or tag, and what requires that"
)
"""Of the command line alone."""

PROMOTION_INPUTS = (
    Input("promote-from", "", "Build nothing: copy the versions that packages names from this repository"),
    Input("with-dependencies", "false", "Promote what they require as well, if it is in that repository", "flag"),
)

PACKAGES_INPUT = Input("packages", ".", "Project folders or globs, one a line", "lines")
INDEX_TOKEN_INPUT = Input("index-token", "auto", "What the ready line carries: read-only, publisher, none or auto")
DELIVERY_INPUTS = (
    Input("if-exists", "skip-identical", "skip-identical, skip or fail"),
    INDEX_TOKEN_INPUT,
    Input("dry-run", "false", "Build, check, authenticate and compare; upload nothing", "flag"),
    Input("verify", "true", "Read every file back from the index and compare its SHA-256", "flag"),
    Input("create-repository", "false", "Create the repository when it is missing", "flag"),
    Input("jobs", "0", "How many builds and uploads at once; 0 picks"),
    Input("summary", "true", "Write the step summary", "flag"),
    Input("doctor", "false", "When the run fails, walk the chain and show which link is broken", "flag"),
    Input("sbom", "false", "Attach a CycloneDX SBOM of each wheel to its version", "flag"),
)
PUBLISH_INPUTS = (
    PACKAGES_INPUT,
    Input("dist", "", "Files, folders or globs that are built already; then nothing is built", "lines"),
    Input("formats", "wheel", "wheel, sdist, or both, comma-separated"),
    Input("expected-version", "", "Refuse to publish any other version"),
    *DELIVERY_INPUTS,
    Input("provenance", "false", "Attach an unsigned SLSA provenance statement of this run to each version", "flag"),
)
INPUTS = REPOSITORY_INPUTS + CREDENTIAL_INPUTS + PUBLISH_INPUTS + PROMOTION_INPUTS
SETUP_INPUTS = (
    *REPOSITORY_INPUTS,
    *CREDENTIAL_INPUTS,
    Input("only", "false", "Make the repository the only index", "flag"),
    Input("index-name", "", "What the project's uv or Poetry calls the repository"),
)

_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


@dataclass(frozen=True)
class Promotion:
    """What is promoted, in place of what would be built.

    Attributes:
        source: The repository that has it, which is one of Artifact Registry's.
        pins: The versions.
        with_dependencies: Whether what they require goes along.
    """

    source: Repository
    pins: "tuple[Pin, ...]"
    with_dependencies: bool


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
    doctor: bool = False
    changed_since: str | None = None
    promotion: Promotion | None = None
    sbom: bool = False
    provenance: bool = False

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
        repository = read_repository(inputs, endpoints)
        if isinstance(credential, KeyPassword):
            refuse_key_elsewhere(repository)
            for name in ("create-repository", "sbom", "provenance"):
                _refuse_with_key(name, asked=_boolean(name, get(name)))
        return cls(
            repository=repository,
            credential=credential,
            packages=read_packages(inputs),
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
            doctor=_boolean("doctor", get("doctor")),
            changed_since=read_changed_since(inputs),
            promotion=_promotion(inputs, repository, endpoints),
            sbom=_evidence("sbom", get("sbom"), repository),
            provenance=_evidence("provenance", get("provenance"), repository),
        )


@dataclass(frozen=True)
class SetupSettings:
    """All inputs of `setup/action.yml`.

    Attributes:
        index_name: What uv and Poetry call the repository; None for the name that `configure` would give it.
    """

    repository: Repository
    credential: Credential
    only: bool
    index_name: str | None

    @classmethod
    def from_inputs(
        cls, inputs: Mapping[str, str], *, environment: Mapping[str, str], endpoints: Endpoints
    ) -> "SetupSettings":
        """Check every input, as `Settings.from_inputs` does.

        Raises:
            BadInput: An input is wrong or contradicts another.
            CredentialsFailure: Workload identity is asked for where the job may not have it.
        """
        get = _reader(inputs)
        return cls(
            repository=read_repository(inputs, endpoints),
            credential=read_credential(inputs, environment),
            only=_boolean("only", get("only")),
            index_name=_index_name(get("index-name")),
        )


def read_packages(inputs: Mapping[str, str]) -> tuple[str, ...]:
    """The patterns of what is to be published."""
    return _lines(_reader(inputs)("packages"))


def read_changed_since(inputs: Mapping[str, str]) -> str | None:
    """The commit that a run compares with, if any.

    Raises:
        BadInput: There is nothing to compare, since files are given.
    """
    commit = inputs.get("changed-since", "").strip()
    if commit and inputs.get("dist", "").strip():
        raise BadInput(
            "Both `--changed-since` and `--dist` are given; with `--dist` nothing is built.",
            fix="leave one of them out",
            anchor="dist-or-packages",
        )
    return commit or None


def read_repository(inputs: Mapping[str, str], endpoints: Endpoints) -> Repository:
    """The repository that the three inputs `repository`, `project` and `location` name."""
    get = _reader(inputs)
    return Repository.parse(get("repository"), project=get("project"), location=get("location"), endpoints=endpoints)


def _promotion(inputs: Mapping[str, str], target: Repository, endpoints: Endpoints) -> Promotion | None:
    get = _reader(inputs)
    with_dependencies = _boolean("with-dependencies", get("with-dependencies"))
    if not get("promote-from"):
        if with_dependencies:
            raise BadInput(
                "`with-dependencies` is for promoting, and `promote-from` is missing.",
                fix="set `promote-from` to the repository that has the packages, or leave `with-dependencies` out",
                anchor="promote-from",
            )
        return None
    for name, unset in (("dist", ""), ("formats", "wheel"), ("expected-version", ""), ("changed-since", "")):
        if (inputs.get(name, "").strip() or unset) != unset:
            raise BadInput(
                f"`{name}` and `promote-from` are both given; what is promoted is there already, whole.",
                fix=f"leave `{name}` out: `packages` names the versions, such as hello==1.2.3",
                anchor="promote-from",
            )
    if _boolean("provenance", get("provenance")):
        raise BadInput(
            "`provenance` and `promote-from` are both given; this run has not made what it copies.",
            fix="leave `provenance` out; `sbom` may stay",
            anchor="promote-from",
        )
    from gar_publish.pins import read_pins  # only promotions have any

    return Promotion(
        _source(get("promote-from"), target, endpoints), read_pins(read_packages(inputs)), with_dependencies
    )


def _source(text: str, target: Repository, endpoints: Endpoints) -> Repository:
    """The repository to promote from; a bare name is one beside the target."""
    beside = {"project": target.project or "", "location": target.location or ""} if "/" not in text else {}
    try:
        source = Repository.parse(text, **beside, endpoints=endpoints)
    except BadInput as failure:
        here = "`promote-from`"
        raise BadInput(
            failure.what.replace("`repository`", here),
            cause=failure.cause,
            fix=failure.fix.replace("`repository`", here),
            anchor=failure.anchor,
        ) from None
    if source.resource is None:
        raise BadInput(
            f"`promote-from` is {source}, which is not Artifact Registry, so no token is sent there.",
            fix="give it as LOCATION/PROJECT/REPOSITORY",
            anchor="promote-from",
        )
    if source == target:
        raise BadInput(
            f"{target} is promoted from and to at once.",
            fix="let `promote-from` name the repository that has the packages, and `repository` the one to get them",
            anchor="promote-from",
        )
    return source


def read_index_token(inputs: Mapping[str, str], credential: Credential) -> IndexToken:
    """What the ready line is to carry."""
    wanted: IndexToken = _choice("index-token", _reader(inputs)("index-token"), get_args(IndexToken))
    if isinstance(credential, KeyPassword):
        _refuse_with_key("index-token", asked=wanted not in {"auto", "none"})
        return "none"  # a key is handed on by nobody
    if wanted == "read-only" and isinstance(credential, GivenToken):
        raise BadInput(
            "`index-token: read-only` cannot be had with `access-token`.",
            cause="a token that was given cannot be made weaker",
            fix="use `workload-identity-provider` or `credentials-json`, or set `index-token: none`",
            anchor="index-token",
        )
    return wanted


def refuse_key_elsewhere(repository: Repository) -> None:
    """Show a key to Artifact Registry alone: whoever has it once can use it for years.

    Raises:
        BadInput: The repository is another index.
    """
    if repository.resource is None:
        raise BadInput(
            f"{repository} is not Artifact Registry, so the key is not sent there.",
            fix="use --credentials-json instead of --json-key: then only a token is sent, which ends within the hour",
            anchor="json-key",
        )


def _refuse_with_key(name: str, *, asked: bool) -> None:
    if asked:
        raise BadInput(
            f"`{name}` needs a token, but `json-key` is a password and makes none.",
            fix=f"leave `{name}` out, or use --credentials-json instead of --json-key",
            anchor="json-key",
        )


def _reader(inputs: Mapping[str, str]) -> Any:
    defaults = {each.name: each.default for each in INPUTS + SETUP_INPUTS}
    return lambda name: inputs.get(name, "").strip() or defaults[name]


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _boolean(name: str, text: str) -> bool:
    if text not in _BOOLEANS:
        raise BadInput(f"`{name}` is {text!r}; it takes true or false.", fix=f"{name}: true", anchor="booleans")
    return _BOOLEANS[text]


def _evidence(name: str, text: str, repository: Repository) -> bool:
    asked = _boolean(name, text)
    if asked and repository.resource is None:
        raise BadInput(
            f"`{name}` is asked for, but {repository} is not Artifact Registry, and has no place for it.",
            fix=f"leave `{name}` out, or publish to a repository of Artifact Registry",
            anchor="evidence-elsewhere",
        )
    return asked


def _choice(name: str, text: str, choices: tuple[Any, ...]) -> Any:
    if text not in choices:
        listed = ", ".join(choices)
        raise BadInput(
            f"`{name}` is {text!r}; it takes one of {listed}.", fix=f"{name}: {choices[0]}", anchor="choices"
        )
    return text


def _formats(text: str) -> frozenset[Format]:
    names = [part.strip() for part in re.split(r"[,\n]", text) if part.strip()]
    return frozenset(_choice("formats", name, get_args(Format)) for name in names or [text])


def _index_name(text: str) -> str | None:
    if text and not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?", text):
        raise BadInput(
            f"`index-name` is {text!r}; it takes letters, digits, - and _.",
            fix="leave it out, or give the name that pyproject.toml has for the index",
            anchor="choices",
        )
    return text or None


def _count(name: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", text):
        raise BadInput(f"`{name}` is {text!r}; it takes a number from 0 to 999.", fix=f"{name}: 0", anchor="choices")
    return int(text)


def _version(text: str) -> Version | None:
    if not text:
        return None
    try:
        return Version(text)
    except ValueError:  # InvalidVersion is one, and so is what a number of 5,000 digits is
        raise BadInput(
            f"`expected-version` is not a version: {text}",
            cause="a Python version looks like 1.2.3; a tag like v1.2.3 is fine, a branch name is not",
            fix="see https://packaging.python.org/en/latest/specifications/version-specifiers/",
            anchor="expected-version",
        ) from None
