"""Every input: its declaration, how it becomes a setting, and which inputs exclude each other.

`make docs` writes the inputs of `action.yml`, their types and the tables of the documents from here.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

from packaging.version import Version

from gar_publish.errors import BadInput
from gar_publish.settings.credential import Credential, GivenToken, KeyPassword, read_credential
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.inputs import NOT_GIVEN, Input, flag, inputs_of, read_fields
from gar_publish.settings.repository import Repository

if TYPE_CHECKING:
    from gar_publish.settings.promotion import Promotion

Format = Literal["wheel", "sdist"]
IfExists = Literal["skip-identical", "skip", "fail"]
NameGuard = Literal["none", "warn", "strict"]
IndexToken = Literal["auto", "read-only", "publisher", "none"]

FILE_HOSTS = Input(
    "file-hosts",
    "Other hosts that the index may link or redirect to, one per line. Without it, files are read from the index's "
    "own host only.",
    kind="lines",
)
REPOSITORY_INPUTS = (
    Input(
        "repository",
        "The repository, as LOCATION/PROJECT/REPOSITORY, projects/P/locations/L/repositories/R, "
        "https://LOCATION-python.pkg.dev/PROJECT/REPOSITORY/, or a bare name with `project` and `location`. "
        "Any other index URL is used as it is.",
    ),
    Input("project", "The Google Cloud project, only with a bare repository name."),
    Input("location", "The region or multi-region, only with a bare repository name."),
    FILE_HOSTS,
)
CREDENTIAL_INPUTS = (
    Input(
        "workload-identity-provider",
        "The provider, as projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER.",
    ),
    Input(
        "service-account",
        "Impersonate this account, whose tokens last an hour. Without it, the federated identity is used directly, "
        "whose tokens last about five minutes.",
    ),
    Input("credentials-json", "A service-account key, as JSON or as base64 of it.", NOT_GIVEN, "secret"),
    Input("access-token", "An access token that exists already. It keeps all its rights.", NOT_GIVEN, "secret"),
)
JSON_KEY = Input(
    "json-key", "A service-account key that is sent as the password; no token is made from it.", kind="secret"
)
"""Of the command line only."""

CHANGED_SINCE = Input(
    "changed-since", "Take only projects that changed since this commit, branch or tag, and those that depend on them."
)
"""Of the command line only."""

OUTDIR = Input("outdir", "The folder for the files that passed all checks.", "dist")
"""Of the command `build` only."""

DRY_RUN = Input(
    "dry-run",
    "Do everything, but change nothing in the registry. `dry-run: build` needs no identity: it builds, checks, "
    "and leaves the files in the folder dist.",
    "false",
    "flag",
    ("build",),
)
INDEX_TOKEN = Input(
    "index-token",
    "The token in the install options: `read-only`, `publisher`, `none`, or `auto`: read-only where the registry "
    "accepts such a token, else the publisher's, with a warning.",
    "auto",
    "word",
    get_args(IndexToken),
)
GITHUB_TOKEN = Input(
    "github-token",
    "With `preview`: a token that may write to pull requests. One comment has the install commands, and is edited by "
    "each push.",
    kind="secret",
)
PROMOTION_INPUTS = (
    Input(
        "promote-from",
        "Build nothing. Copy the versions in `packages` (`NAME==VERSION`, one per line) from this repository, "
        "byte for byte.",
    ),
    Input(
        "with-dependencies",
        "With `promote-from`: promote the dependencies as well, if that repository has them.",
        "false",
        "flag",
    ),
)


@dataclass(frozen=True, kw_only=True)
class BuildSettings:
    """The inputs that decide which files are built. No identity is needed to build them."""

    packages: tuple[str, ...] = Input("packages", "Project folders or globs, one per line.", ".", "lines").field()
    dist: tuple[str, ...] = Input(
        "dist", "Files, folders or globs that are built already, one per line. Then nothing is built.", kind="lines"
    ).field()
    formats: frozenset[Format] = Input(
        "formats", "`wheel`, `sdist`, or both, comma-separated.", "wheel", "words", get_args(Format)
    ).field()
    build_env: tuple[str, ...] = Input(
        "build-env",
        "Names of variables that builds get besides the usual ones, one per line, such as RELEASE_VERSION. A build can "
        "read and send away what it gets.",
        kind="lines",
    ).field()
    expected_version: Version | None = Input(
        "expected-version", "Refuse to publish any other version (`v1.2.3` and `1.2.3` are the same).", kind="version"
    ).field()
    jobs: int = Input("jobs", "How many builds and uploads run at once; 0 = automatic.", "0", "number").field()
    changed_since: str | None = CHANGED_SINCE.field()
    outdir: str = OUTDIR.field()

    def __post_init__(self) -> None:
        self._refuse_beside_dist(projects=self.packages)

    def _refuse_beside_dist(self, projects: tuple[str, ...]) -> None:
        to_build = {
            f"A project ({''.join(projects[:1])})": projects not in {(), (".",)},
            "`formats`": self.formats != {"wheel"},
            "`--changed-since`": self.changed_since,
        }
        for what, is_given in to_build.items():
            if self.dist and is_given:
                raise beside_dist(what)


@dataclass(frozen=True, kw_only=True)
class Settings(BuildSettings):
    """All inputs of `action.yml`, with their defaults."""

    repository: Repository
    credential: Credential
    promotion: "Promotion | None" = None

    if_exists: IfExists = Input(
        "if-exists",
        "If the registry has the file already: `skip-identical` skips identical contents and fails on different ones, "
        "`skip` always skips, `fail` always fails.",
        "skip-identical",
        "word",
        get_args(IfExists),
    ).field()
    index_token: IndexToken = INDEX_TOKEN.field()
    dry_run: bool = DRY_RUN.field()
    verify: bool = flag("verify", "Read every file back from the index and compare its SHA-256.", "true")
    create_repository: bool = flag("create-repository", "Create the repository if it is missing.")
    summary: bool = flag("summary", "Write the step summary.", "true")
    doctor: bool = flag(
        "doctor",
        "When the run fails with exit code 3, 6 or 7, check each link from the job to the repository, and show in the "
        "summary which one is broken.",
    )
    lock: bool = flag(
        "lock",
        "Make a lock of the published packages with all their dependencies and the hashes of all files: the output "
        "`lock`. Dependencies that the repository does not have come from the public index.",
    )
    sbom: bool = flag("sbom", "Make a CycloneDX SBOM of each wheel, and attach it to its version in Artifact Registry.")
    provenance: bool = flag(
        "provenance",
        "Make an unsigned SLSA provenance statement of this run, and attach it to each version in Artifact Registry.",
    )
    rehearse: bool = flag(
        "rehearse",
        "Before the first upload, install each wheel in clean environments, and import it there. What fails is not "
        "published.",
    )
    rehearse_python: tuple[str, ...] = Input(
        "rehearse-python",
        "The versions of Python for `rehearse`, comma-separated. Without it: the lowest and the highest that the "
        "package allows and uv finds.",
        kind="versions",
    ).field()
    rehearse_command: str | None = Input(
        "rehearse-command",
        "A command that `rehearse` runs in each environment, in the project's folder, such as `pytest -q tests/smoke`.",
    ).field()
    rehearse_timeout: int = Input(
        "rehearse-timeout", "Seconds after which `rehearse` ends a program; 0 = never.", "120", "number"
    ).field()
    name_guard: NameGuard = Input(
        "name-guard",
        "Ask the public index for the names of the packages: `warn` warns of each name that it has, `strict` also of "
        "each name that is free there. `none` asks nothing.",
        "none",
        "word",
        get_args(NameGuard),
    ).field()
    preview: bool = Input(
        "preview",
        "Publish a preview of the pull request or the branch: the packages that have changed, those that depend on "
        "them, and all that these need, each as a development version of the commit. The repository must be for "
        "previews only. In the action, `delete` deletes the previews of the closed pull request.",
        "false",
        "flag",
        ("delete",),
    ).field()
    github_token: str | None = GITHUB_TOKEN.field()

    @classmethod
    def from_inputs(
        cls, inputs: Mapping[str, str], *, environment: Mapping[str, str], endpoints: Endpoints
    ) -> "Settings":
        """Read and check every input.

        Args:
            inputs: The inputs by their names in `action.yml`; one that is absent or blank has its default.
            environment: The variables of the job, with those for identity tokens.
            endpoints: Google's hosts, for the URLs of the repository.

        Raises:
            BadInput: An input is wrong or contradicts another.
            CredentialsFailure: Workload identity is asked for, but the job may not use it.
        """
        repository = read_repository(inputs, endpoints)
        credential = read_credential(inputs, environment)
        promotion = _read_promotion(inputs, repository, endpoints)
        settings = read_fields(cls, inputs) | {"index_token": read_index_token(inputs, credential)}
        return cls(repository=repository, credential=credential, promotion=promotion, **settings)

    def __post_init__(self) -> None:
        if self.preview:
            self._refuse_with_preview()
        # In a fork's preview, `packages` lists what `dist` may have.
        self._refuse_beside_dist(projects=() if self.preview else self.packages)
        for name in ("rehearse-python", "rehearse-command", "rehearse-timeout"):
            field = name.replace("-", "_")
            if getattr(self, field) != getattr(Settings, field) and not self.rehearse:
                raise BadInput(
                    f"`{name}` is set, but `rehearse` is not.",
                    fix=f"set `rehearse: true`, or remove `{name}`",
                    anchor="rehearse-python",
                )
        try:
            shlex.split(self.rehearse_command or "")
        except ValueError as error:
            raise BadInput(
                f"`rehearse-command` is no command: {error}.",
                fix="correct the quotes",
                anchor="rehearse-python",
            ) from None
        if isinstance(self.credential, KeyPassword):
            refuse_key_elsewhere(self.repository)
            for name in ("create-repository", "sbom", "provenance", "preview"):
                if getattr(self, name.replace("-", "_")):
                    raise _needs_token(name)
        for name in ("sbom", "provenance"):
            if getattr(self, name) and self.repository.resource is None:
                raise BadInput(
                    f"`{name}` needs Artifact Registry, but {self.repository} is another index.",
                    fix=f"remove `{name}`",
                    anchor="evidence-elsewhere",
                )

    def _refuse_with_preview(self) -> None:
        refuse_previews_elsewhere(self.repository)
        mixed = [
            ("formats", "sdist" in self.formats, "a preview is made of wheels"),
            ("expected-version", self.expected_version, "the commit decides the version of a preview"),
            ("create-repository", self.create_repository, "a repository of previews has rules that delete them"),
            *((name, getattr(self, name), "previews are deleted") for name in ("lock", "sbom", "provenance")),
        ]
        for name, is_set, why in mixed:
            if is_set:
                raise BadInput(
                    f"`{name}` and `preview` cannot be combined: {why}.",
                    fix=f"remove `{name}`",
                    anchor="preview-inputs",
                )


@dataclass(frozen=True)
class SetupSettings:
    """All inputs of `setup/action.yml`, with their defaults."""

    repository: Repository
    credential: Credential

    only: bool = flag("only", "Make the repository the only index, without PyPI. For a virtual repository.")
    index_name: str | None = Input(
        "index-name",
        "The name of the repository in `pyproject.toml`, for explicit indexes of uv and Poetry. Without it: `gar-`, "
        "the project and the repository, such as `gar-my-project-python`.",
        kind="index-name",
    ).field()

    @classmethod
    def from_inputs(
        cls, inputs: Mapping[str, str], *, environment: Mapping[str, str], endpoints: Endpoints
    ) -> "SetupSettings":
        """Read and check every input, as `Settings.from_inputs` does.

        Raises:
            BadInput: An input is wrong or contradicts another.
            CredentialsFailure: Workload identity is asked for, but the job may not use it.
        """
        repository = read_repository(inputs, endpoints)
        return cls(repository, read_credential(inputs, environment), **read_fields(cls, inputs))


PUBLISH_INPUTS = tuple(each for each in inputs_of(Settings) if each not in {CHANGED_SINCE, OUTDIR})
BUILD_INPUTS = ("packages", "dist", "formats", "build-env", "expected-version", "provenance", "preview", "github-token")
"""What decides which files are built; a promotion takes its files from another repository."""

DELIVERY_INPUTS = tuple(each for each in PUBLISH_INPUTS if each.name not in BUILD_INPUTS)
INPUTS = REPOSITORY_INPUTS + CREDENTIAL_INPUTS + PUBLISH_INPUTS + PROMOTION_INPUTS
SETUP_INPUTS = REPOSITORY_INPUTS + CREDENTIAL_INPUTS + inputs_of(SetupSettings)
OPTIONS = {each.name: each for each in (*INPUTS, JSON_KEY, CHANGED_SINCE, OUTDIR)}
"""All inputs that the command line has as options, by name."""


def read_build_settings(inputs: Mapping[str, str]) -> BuildSettings:
    """Read the inputs of a run with `dry-run: build`. The repository and the identity are not read.

    Raises:
        BadInput: An input is wrong, or asks for a promotion.
    """
    if PROMOTION_INPUTS[0].text(inputs):
        raise BadInput(
            "`promote-from` and `dry-run: build` cannot be combined: a promotion builds nothing.",
            fix="use `dry-run: true`",
            anchor="promote-from",
        )
    read_fields(Settings, inputs)  # a mistake in another input would show only where it is published
    return BuildSettings(**read_fields(BuildSettings, inputs))


def beside_dist(what: str) -> BadInput:
    """Return the refusal of what selects or changes builds, beside `dist`."""
    return BadInput(
        f"{what} and `dist` cannot be combined: with `dist`, nothing is built.",
        fix="remove one of the two",
        anchor="dist-or-packages",
    )


def read_repository(inputs: Mapping[str, str], endpoints: Endpoints) -> Repository:
    """Return the repository that `repository`, `project` and `location` name.

    Raises:
        BadInput: They name none.
    """
    text, project, location, _ = (each.text(inputs) for each in REPOSITORY_INPUTS)
    repository = Repository.parse(text, project=project, location=location, endpoints=endpoints)
    return replace(repository, file_hosts=FILE_HOSTS.read(inputs))


def refuse_previews_elsewhere(repository: Repository) -> None:
    """Refuse an index that cannot have the label of a repository for previews.

    Raises:
        BadInput: It is not in Artifact Registry.
    """
    if repository.resource is None:
        raise BadInput(
            f"{repository} is not a repository of Artifact Registry, so it has no previews.",
            fix="use `repository: LOCATION/PROJECT/REPOSITORY`",
            anchor="previews-repository",
        )


def read_index_token(inputs: Mapping[str, str], credential: Credential) -> IndexToken:
    """Return which token the install options have, as far as the credential can make it.

    Raises:
        BadInput: The credential cannot make it.
    """
    wanted: IndexToken = INDEX_TOKEN.read(inputs)
    if isinstance(credential, KeyPassword):
        if wanted not in {"auto", "none"}:
            raise _needs_token("index-token")
        return "none"
    if wanted == "read-only" and isinstance(credential, GivenToken):
        raise BadInput(
            "`index-token: read-only` cannot be combined with `access-token`.",
            cause="gar-publish cannot take rights away from a token that exists already",
            fix="use `workload-identity-provider` or `credentials-json`, or set `index-token: none`",
            anchor="index-token",
        )
    return wanted


def refuse_key_elsewhere(repository: Repository) -> None:
    """Raise unless the repository is in Artifact Registry: a key that another index has seen is valid for years.

    Raises:
        BadInput: The repository is another index.
    """
    if repository.resource is None:
        raise BadInput(
            f"{repository} is not Artifact Registry, so the key is not sent there.",
            fix="use `credentials-json`, which sends only a token that expires within an hour, instead of `--json-key`",
            anchor="json-key",
        )


def _needs_token(name: str) -> BadInput:
    return BadInput(
        f"`{name}` needs a token, but `--json-key` sends the key as a password and makes none.",
        fix=f"remove `{name}`, or use `credentials-json` instead of `--json-key`",
        anchor="json-key",
    )


def _read_promotion(inputs: Mapping[str, str], target: Repository, endpoints: Endpoints) -> "Promotion | None":
    promote_from, with_dependencies = PROMOTION_INPUTS
    if not promote_from.text(inputs):
        if with_dependencies.read(inputs):
            raise BadInput(
                "`with-dependencies` is set, but `promote-from` is missing.",
                fix="set `promote-from` to the repository that has the packages, or remove `with-dependencies`",
                anchor="promote-from",
            )
        return None
    for name in BUILD_INPUTS[1:]:
        if OPTIONS[name].read(inputs) != OPTIONS[name].read({}):
            raise BadInput(
                f"`{name}` and `promote-from` cannot be combined: a promotion copies files and builds nothing.",
                fix=f"remove `{name}`",
                anchor="promote-from",
            )
    if OPTIONS["if-exists"].text(inputs) == "skip":
        raise BadInput(
            "`if-exists: skip` and `promote-from` cannot be combined: a file with different contents would count as "
            "promoted.",
            fix="use `if-exists: skip-identical`",
            anchor="promote-from",
        )
    from gar_publish.settings.promotion import Promotion, read_pins, read_source  # only promotions need it

    return Promotion(
        read_source(promote_from.text(inputs), target, endpoints),
        read_pins(OPTIONS["packages"].read(inputs)),
        with_dependencies.read(inputs),
    )
