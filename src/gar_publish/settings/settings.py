"""What was asked: every input, checked before anything starts."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from packaging.version import Version

from gar_publish.errors import BadInput
from gar_publish.settings.credential import Credential, GivenToken, KeyPassword, read_credential
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.inputs import Reader
from gar_publish.settings.repository import Repository

if TYPE_CHECKING:
    from gar_publish.settings.promotion import Promotion

Format = Literal["wheel", "sdist"]
IfExists = Literal["skip-identical", "skip", "fail"]
IndexToken = Literal["auto", "read-only", "publisher", "none"]


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
    promotion: "Promotion | None" = None
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
        given = Reader(inputs)
        credential = read_credential(inputs, environment)
        repository = read_repository(inputs, endpoints)
        if isinstance(credential, KeyPassword):
            refuse_key_elsewhere(repository)
            for name in ("create-repository", "sbom", "provenance"):
                _refuse_with_key(name, asked=given.flag(name))
        return cls(
            repository=repository,
            credential=credential,
            packages=given.lines("packages"),
            dist=given.lines("dist"),
            formats=given.choices("formats", get_args(Format)),
            if_exists=given.choice("if-exists", get_args(IfExists)),
            expected_version=_version(given.text("expected-version")),
            index_token=read_index_token(inputs, credential),
            dry_run=given.flag("dry-run"),
            verify=given.flag("verify"),
            create_repository=given.flag("create-repository"),
            jobs=given.count("jobs"),
            summary=given.flag("summary"),
            doctor=given.flag("doctor"),
            changed_since=read_changed_since(inputs),
            promotion=_promotion(inputs, repository, endpoints),
            sbom=_evidence("sbom", given, repository),
            provenance=_evidence("provenance", given, repository),
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
        given = Reader(inputs)
        return cls(
            repository=read_repository(inputs, endpoints),
            credential=read_credential(inputs, environment),
            only=given.flag("only"),
            index_name=_index_name(given.text("index-name")),
        )


def read_changed_since(inputs: Mapping[str, str]) -> str | None:
    """The commit that a run compares with, if any.

    Raises:
        BadInput: There is nothing to compare, since files are given.
    """
    given = Reader(inputs)
    commit = given.text("changed-since")
    if commit and given.text("dist"):
        raise BadInput(
            "Both `--changed-since` and `--dist` are given; with `--dist` nothing is built.",
            fix="leave one of them out",
            anchor="dist-or-packages",
        )
    return commit or None


def read_repository(inputs: Mapping[str, str], endpoints: Endpoints) -> Repository:
    """The repository that the three inputs `repository`, `project` and `location` name."""
    text = Reader(inputs).text
    return Repository.parse(text("repository"), project=text("project"), location=text("location"), endpoints=endpoints)


def read_index_token(inputs: Mapping[str, str], credential: Credential) -> IndexToken:
    """What the ready line is to carry."""
    wanted: IndexToken = Reader(inputs).choice("index-token", get_args(IndexToken))
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


def _promotion(inputs: Mapping[str, str], target: Repository, endpoints: Endpoints) -> "Promotion | None":
    if not Reader(inputs).text("promote-from"):
        if Reader(inputs).flag("with-dependencies"):
            raise BadInput(
                "`with-dependencies` is for promoting, and `promote-from` is missing.",
                fix="set `promote-from` to the repository that has the packages, or leave `with-dependencies` out",
                anchor="promote-from",
            )
        return None
    from gar_publish.settings.promotion import read_promotion  # only promotions have any

    return read_promotion(inputs, target, endpoints)


def _evidence(name: str, given: Reader, repository: Repository) -> bool:
    asked = given.flag(name)
    if asked and repository.resource is None:
        raise BadInput(
            f"`{name}` is asked for, but {repository} is not Artifact Registry, and has no place for it.",
            fix=f"leave `{name}` out, or publish to a repository of Artifact Registry",
            anchor="evidence-elsewhere",
        )
    return asked


def _index_name(text: str) -> str | None:
    if text and not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?", text):
        raise BadInput(
            f"`index-name` is {text!r}; it takes letters, digits, - and _.",
            fix="leave it out, or give the name that pyproject.toml has for the index",
            anchor="choices",
        )
    return text or None


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
