"""The declared world: projects, repositories, pools, accounts, keys and bindings."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from gar_emulator.world.fault import Fault
from gar_emulator.world.iam import CLOUD_PLATFORM, ROLES, Binding
from gar_emulator.world.services import SERVICES
from gar_emulator.world.switches import Switches
from gar_emulator.world.toml_records import InvalidTable, invalid_world, record

NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
"""The name of a repository, and of a location."""

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9@.:_-]*")
"""Projects and accounts give their names to files in the data folder."""

MODES = ("STANDARD_REPOSITORY", "VIRTUAL_REPOSITORY", "REMOTE_REPOSITORY")
FORMATS = ("APT", "DOCKER", "GENERIC", "GO", "KFP", "MAVEN", "NPM", "PYTHON", "YUM")


@dataclass(frozen=True)
class Project:
    id: str
    number: int
    disabled_services: tuple[str, ...] = ()

    @property
    def resource(self) -> str:
        return f"projects/{self.id}"


@dataclass(frozen=True)
class Repository:
    """A repository. If it is `public`, everyone may read it (allUsers has the reader role).

    Cleanup policies are kept, but not carried out.
    """

    project: str
    location: str
    name: str
    format: str = "PYTHON"
    mode: str = "STANDARD_REPOSITORY"
    description: str = ""
    public: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    cleanup_policies: Mapping[str, Any] = field(default_factory=dict)
    cleanup_policy_dry_run: bool = False

    @property
    def resource(self) -> str:
        return f"projects/{self.project}/locations/{self.location}/repositories/{self.name}"


@dataclass(frozen=True)
class Pool:
    """A workload identity pool. A deleted pool can be restored, and its id cannot be reused."""

    project: str
    id: str
    disabled: bool = False
    deleted: bool = False
    display_name: str = ""
    description: str = ""

    @property
    def resource(self) -> str:
        return f"projects/{self.project}/locations/global/workloadIdentityPools/{self.id}"


@dataclass(frozen=True)
class Provider:
    """An OIDC provider of a workload identity pool.

    Attributes:
        mapping: The CEL expression of each attribute, including `google.subject`.
        condition: A CEL expression that must be true; empty = no condition.
        jwks: The issuer's keys as JSON, unless the issuer is the emulator's own GitHub.
    """

    project: str
    pool: str
    id: str
    issuer: str
    mapping: Mapping[str, str]
    condition: str = ""
    allowed_audiences: tuple[str, ...] = ()
    jwks: str = ""
    disabled: bool = False
    deleted: bool = False
    display_name: str = ""
    description: str = ""

    @property
    def resource(self) -> str:
        return f"{Pool(self.project, self.pool).resource}/providers/{self.id}"


@dataclass(frozen=True)
class Account:
    """A service account."""

    email: str
    disabled: bool = False
    deleted: bool = False
    display_name: str = ""
    description: str = ""

    @property
    def project(self) -> str:
        return self.email.partition("@")[2].removesuffix(".iam.gserviceaccount.com")

    @property
    def resource(self) -> str:
        return f"projects/{self.project}/serviceAccounts/{self.email}"


@dataclass(frozen=True)
class Key:
    """A key of a service account. Its JSON file is in the data folder."""

    account: str
    disabled: bool = False

    @property
    def resource(self) -> str:
        return f"{Account(self.account).resource}/keys"


@dataclass(frozen=True)
class Ambient:
    """The account of which the metadata server issues tokens."""

    account: str
    scopes: tuple[str, ...] = (CLOUD_PLATFORM,)


@dataclass(frozen=True)
class Gcloud:
    """The account that gcloud is logged in as, in a shell that the emulator's variables connect to it."""

    account: str


@dataclass(frozen=True)
class World:
    """A world file: everything but packages."""

    projects: tuple[Project, ...] = ()
    repositories: tuple[Repository, ...] = ()
    pools: tuple[Pool, ...] = ()
    providers: tuple[Provider, ...] = ()
    accounts: tuple[Account, ...] = ()
    keys: tuple[Key, ...] = ()
    bindings: tuple[Binding, ...] = ()
    faults: tuple[Fault, ...] = ()
    ambient: Ambient | None = None
    gcloud: Gcloud | None = None
    switches: Switches = field(default_factory=Switches)

    @classmethod
    def default(cls) -> "World":
        """Return the default world: the project `demo-project` with the repository `python`."""
        return cls.parse(files("gar_emulator").joinpath("default.toml").read_text("utf-8"), "default.toml")

    @classmethod
    def load(cls, file: Path) -> "World":
        """Read a world file (TOML).

        Raises:
            EmulatorError: The file cannot be read, or an entry is invalid or names something undeclared.
        """
        try:
            text = file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise invalid_world(str(file), f"cannot be read: {getattr(error, 'strerror', error)}") from error
        world = cls.parse(text, str(file))
        for provider in world.providers:
            _check_expressions(provider, str(file))
        return world

    @classmethod
    def parse(cls, text: str, source: str) -> "World":
        try:
            raw = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise invalid_world(source, f"is not TOML: {error}") from error
        tables: dict[str, Any] = {
            "projects": Project,
            "repositories": Repository,
            "pools": Pool,
            "providers": Provider,
            "accounts": Account,
            "keys": Key,
            "bindings": Binding,
            "faults": Fault,
        }
        singles: dict[str, Any] = {"ambient": Ambient, "gcloud": Gcloud, "switches": Switches}
        values: dict[str, Any] = {}
        for name, content in raw.items():
            if name not in {**tables, **singles}:
                raise invalid_world(
                    source, f"has an unknown table, {name}; the known tables are {', '.join([*tables, *singles])}"
                )
            if name in tables and not isinstance(content, list):
                raise invalid_world(source, f"has [{name}] instead of [[{name}]]")
            try:
                values[name] = (
                    record(singles[name], content, f"[{name}]")
                    if name in singles
                    else tuple(
                        record(tables[name], entry, f"[[{name}]] number {number}")
                        for number, entry in enumerate(content, 1)
                    )
                )
            except InvalidTable as error:
                raise invalid_world(f"{source}:", str(error)) from None
        world = cls(**values)
        world._check_names(source)
        world._check(source)
        return world

    def _check_names(self, source: str) -> None:
        """Raise EmulatorError if a name would lead out of the data folder."""
        names = [
            *((_FILE_NAME, item.id) for item in self.projects),
            *((_FILE_NAME, item.email) for item in self.accounts),
            *((NAME, part) for item in self.repositories for part in (item.location, item.name)),
        ]
        for allowed, name in names:
            if not allowed.fullmatch(name):
                raise invalid_world(source, f"has {name!r}, which is not a valid name")

    def _check(self, source: str) -> None:
        """Raise EmulatorError if the world names something that it does not declare."""
        declared = {"project": {item.id for item in self.projects}, "account": {item.email for item in self.accounts}}
        named = [
            *(("project", item.project) for item in self.repositories),
            *(("project", item.project) for item in self.pools),
            *(("account", item.account) for item in self.keys),
            *(("account", item.account) for item in [self.ambient, self.gcloud] if item),
        ]
        for kind, name in named:
            if name not in declared[kind]:
                raise invalid_world(source, f"names the {kind} {name} but does not declare it")
        for repository in self.repositories:
            if repository.format not in FORMATS or repository.mode not in MODES:
                raise invalid_world(source, f"has a repository, {repository.name}, of an unknown format or mode")
        for provider in self.providers:
            if not any((pool.project, pool.id) == (provider.project, provider.pool) for pool in self.pools):
                raise invalid_world(source, f"has a provider, {provider.id}, in a pool that it does not declare")
            if "google.subject" not in provider.mapping:
                raise invalid_world(source, f"has a provider, {provider.id}, without a mapping of google.subject")
        for service in {each for project in self.projects for each in project.disabled_services} - set(SERVICES):
            raise invalid_world(source, f"disables an unknown service, {service}")
        for role in {binding.role for binding in self.bindings} - set(ROLES):
            raise invalid_world(source, f"has a binding of an unknown role, {role}")


def _check_expressions(provider: Provider, source: str) -> None:
    from gar_emulator.world.expressions import check  # CEL takes long to load

    for expression in (*provider.mapping.values(), provider.condition):
        problem = check(expression) if expression else ""
        if problem:
            raise invalid_world(source, f"has an invalid CEL expression, {expression} ({problem})")
