"""What each tool needs to know to use one repository."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from gar_publish.configure import ini, places, toml
from gar_publish.configure.files import Edit, read, understood
from gar_publish.configure.indexes import Sources
from gar_publish.configure.places import Machine
from gar_publish.errors import BadInput
from gar_publish.settings.index_url import Login, default_name, url_with_login
from gar_publish.settings.repository import Repository

_CONFUSION = (
    "{tool} takes the highest version that any index has, so a public package of the same name can win over a private "
    "one (dependency confusion). Pin hashes, or make a virtual repository the only index with --only."
)
_KEYRING = "keyrings.google-artifactregistry-auth"


@dataclass(frozen=True)
class Wanted:
    """What was asked for.

    Attributes:
        repository: Where to install from, or to upload to.
        login: How the tool shows who it is.
        name: What the tool is to call the repository; None for the name that it has already, or one made of its path.
        only: Whether the tool is to look nowhere else, PyPI included.
        user: Whether settings are for everything that the person does, rather than for one project.
        folder: The project.
        machine: What decides where the person's files are.
    """

    repository: Repository
    login: Login
    name: str | None
    only: bool
    user: bool
    folder: Path
    machine: Machine

    @property
    def index(self) -> str:
        return self.repository.index_url

    @property
    def public_index(self) -> str:
        """The index URL for a file that everybody may see: with the user name where a keyring is asked for the rest."""
        return url_with_login(self.index, self.login) if not self.secret else self.index

    @property
    def secret(self) -> bool:
        """Whether there is a password to keep from others."""
        return self.login.password is not None

    @property
    def credential(self) -> dict[str, str | bool | None]:
        """User name and password for a file of the person's own; both None where a keyring has them."""
        return {"username": self.login.user if self.secret else None, "password": self.login.password}


@dataclass(frozen=True)
class UvLogin:
    """What uv's own store of passwords is to hold for an index. Only uv knows the store's format."""

    index: str
    login: Login


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    Attributes:
        edits: The files to change.
        notes: What the person does next.
        warnings: What the person should know before.
        uv: What uv is to remember.
    """

    edits: tuple[Edit, ...]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    uv: UvLogin | None = None


def pip(wanted: Wanted) -> Plan:
    """https://pip.pypa.io/en/stable/topics/authentication/"""
    path = Path(places.pip_file(wanted.machine))
    stronger = ", ".join(_stronger_than_file(wanted))
    return Plan(
        (_pip_edit(path, wanted),),
        _keyring_note(wanted, f"pip install keyring {_KEYRING}"),
        (*_confusion(wanted, "pip"), *([f"pip heeds this more than {path}: {stronger}."] if stronger else [])),
    )


def docker(wanted: Wanted) -> Plan:
    """https://docs.docker.com/build/building/secrets/"""
    path = Path(places.docker_file(wanted.machine, wanted.name or default_name(wanted.repository)))
    mount = "RUN --mount=type=secret,id=pip,target=/etc/pip.conf pip install --require-hashes -r requirements.txt"
    notes = [f'docker build --secret "id=pip,src={path}" .', f"In the Dockerfile: {mount}"]
    if not wanted.secret:
        notes.append(
            f"Before that line: RUN pip install keyring {_KEYRING}. The build needs credentials of its own, such as "
            "the metadata server that `docker build --network=cloudbuild` reaches on Cloud Build."
        )
    return Plan((_pip_edit(path, wanted),), tuple(notes), _confusion(wanted, "pip"))


def twine(wanted: Wanted) -> Plan:
    """https://twine.readthedocs.io/en/stable/#configuration"""
    name = wanted.name or default_name(wanted.repository)
    change = partial(ini.with_pypirc_repository, name=name, url=wanted.repository.upload_url, login=wanted.login)
    edit = Edit(Path(places.pypirc_file(wanted.machine)), change, secret=wanted.secret)
    return Plan(
        (edit,), (f"twine upload --repository {name} dist/*", *_keyring_note(wanted, f"pip install {_KEYRING}"))
    )


def uv(wanted: Wanted) -> Plan:
    """https://docs.astral.sh/uv/concepts/indexes/"""
    keys: tuple[str, ...]
    if wanted.user:
        path, keys = Path(places.uv_file(wanted.machine)), ("index",)
    elif (wanted.folder / "uv.toml").exists():  # uv then ignores [tool.uv]
        path, keys = wanted.folder / "uv.toml", ("index",)
    else:
        path, keys = _pyproject(wanted), ("tool", "uv", "index")
    sources = Sources.read(path, keys, explicit=("explicit", True))
    name = _name(wanted, sources)
    entry: toml.Values = {"name": name, "url": wanted.public_index, "authenticate": "always"}
    # An explicit index can only be referred to from the file of a project.
    explicit = not wanted.only and not wanted.user
    if wanted.only:
        entry = {**entry, "explicit": None, "default": True}
    new: toml.Values = {"explicit": True} if explicit else {}
    edits = [Edit(path, partial(toml.with_entry, keys=keys, entry=entry, new=new))]
    if not wanted.secret:
        provider: toml.Values = {"keyring-provider": "subprocess"}
        edits.insert(0, Edit(path, partial(toml.with_values, keys=keys[:-1], values=provider)))
    names = f'[tool.uv.sources]\nPACKAGE = {{ index = "{name}" }}'
    notes = (f"Name what comes from it in pyproject.toml:\n{names}",) if explicit else ()
    # With these settings, uv would ask the keyring that is not there yet.
    keyring = _keyring_note(wanted, f"uv --no-config tool install keyring --with {_KEYRING}")
    warnings = sources.warnings(name, only=wanted.only, new_is_explicit=explicit)
    return Plan(tuple(edits), (*notes, *keyring), warnings, uv=UvLogin(wanted.index, wanted.login))


def poetry(wanted: Wanted) -> Plan:
    """https://python-poetry.org/docs/repositories/"""
    if wanted.user:
        raise BadInput(
            "Poetry keeps package sources in projects alone.",
            fix="run it in the project, without --user",
            anchor="configure-scope",
        )
    path, keys = _pyproject(wanted), ("tool", "poetry", "source")
    sources = Sources.read(path, keys, explicit=("priority", "explicit"))
    name = _name(wanted, sources)
    entry: toml.Values = {"name": name, "url": wanted.index}
    new: toml.Values = {"priority": "explicit"}
    if wanted.only:
        entry, new = {**entry, "priority": "primary"}, {}
    auth = partial(toml.with_values, keys=("http-basic", name), values=wanted.credential)
    notes = () if wanted.only else (f"poetry add --source {name} PACKAGE",)
    return Plan(
        (
            Edit(path, partial(toml.with_entry, keys=keys, entry=entry, new=new)),
            Edit(Path(places.poetry_auth_file(wanted.machine)), auth, secret=wanted.secret),
        ),
        (*notes, *_keyring_note(wanted, f"poetry self add {_KEYRING}")),
        sources.warnings(name, only=wanted.only, new_is_explicit=True),
    )


def pdm(wanted: Wanted) -> Plan:
    """https://pdm-project.org/en/latest/usage/config/#configure-the-package-indexes"""
    keys = ("tool", "pdm", "source")
    file = Path(places.pdm_file(wanted.machine))
    sources = Sources.read(_pyproject(wanted), keys) if not wanted.user else None
    # The source that is called so takes the place of PyPI.
    name = "pypi" if wanted.only else _name(wanted, sources)
    values = wanted.credential
    warnings = _confusion(wanted, "PDM")
    edits = []
    if sources:
        entry: toml.Values = {"name": name, "url": wanted.public_index}
        edits.append(Edit(sources.path, partial(toml.with_entry, keys=keys, entry=entry, new={"verify_ssl": True})))
        if wanted.only:
            warnings = sources.warnings(name, only=True, new_is_explicit=False)
    else:
        values = {"url": wanted.public_index, **values}
    change = partial(toml.with_values, keys=("pypi",) if wanted.only else ("pypi", name), values=values)
    edits.append(Edit(file, change, secret=wanted.secret))
    return Plan(tuple(edits), _keyring_note(wanted, f"pdm self add keyring {_KEYRING}"), warnings)


TOOLS: Mapping[str, Callable[[Wanted], Plan]] = MappingProxyType(
    {"pip": pip, "uv": uv, "poetry": poetry, "pdm": pdm, "twine": twine, "docker": docker}
)


def _pip_edit(path: Path, wanted: Wanted) -> Edit:
    url = url_with_login(wanted.index, wanted.login)
    return Edit(path, partial(ini.with_pip_index, url=url, only=wanted.only), secret=wanted.secret)


def _pyproject(wanted: Wanted) -> Path:
    path = wanted.folder / "pyproject.toml"
    if not path.is_file():
        raise BadInput(
            f"There is no project in {wanted.folder}: pyproject.toml is missing.",
            fix="run it in a project, name one with --folder, or configure the tool for everything you do with --user",
            anchor="configure-scope",
        )
    return path


def _name(wanted: Wanted, sources: Sources | None) -> str:
    """The name that was asked for, or that the file has for this repository already."""
    return wanted.name or (sources and sources.name_of(wanted.index)) or default_name(wanted.repository)


def _confusion(wanted: Wanted, tool: str) -> tuple[str, ...]:
    return () if wanted.only else (_CONFUSION.format(tool=tool),)


def _stronger_than_file(wanted: Wanted) -> Iterator[str]:
    """What overrules a person's pip.conf: https://pip.pypa.io/en/stable/topics/configuration/#precedence-override-order"""
    machine = wanted.machine
    for variable in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL") if wanted.only else ("PIP_EXTRA_INDEX_URL",):
        if machine.named(variable):
            yield variable
    environment = places.pip_environment_file(machine)
    if environment and not machine.named("PIP_CONFIG_FILE"):
        path = Path(environment)
        if understood(path, ini.names_pip_indexes, read(path)):
            yield str(path)


def _keyring_note(wanted: Wanted, command: str) -> tuple[str, ...]:
    return (f"The keyring answers once this is installed beside it: {command}",) if not wanted.secret else ()
