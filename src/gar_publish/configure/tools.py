"""What each tool needs to know to use one repository."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from gar_publish.configure import ini, places, toml
from gar_publish.configure.files import Edit, read, understood
from gar_publish.configure.places import Machine
from gar_publish.errors import BadInput
from gar_publish.install import default_name
from gar_publish.login import Login, url_with_login
from gar_publish.repository import Repository

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
        warning: What the person should know before.
        uv: What uv is to remember.
    """

    edits: tuple[Edit, ...]
    notes: tuple[str, ...] = ()
    warning: str = ""
    uv: UvLogin | None = None


def pip(wanted: Wanted) -> Plan:
    """https://pip.pypa.io/en/stable/topics/authentication/"""
    path = Path(places.pip_file(wanted.machine))
    return Plan(
        (_pip_edit(path, wanted),),
        _keyring_note(wanted, f"pip install keyring {_KEYRING}"),
        "" if wanted.only else _CONFUSION.format(tool="pip"),
    )


def docker(wanted: Wanted) -> Plan:
    """https://docs.docker.com/build/building/secrets/"""
    path = Path(places.docker_file(wanted.machine, wanted.name or default_name(wanted.repository)))
    mount = "RUN --mount=type=secret,id=pip,target=/etc/pip.conf pip install PACKAGE"
    notes = [f'docker build --secret "id=pip,src={path}" .', f"In the Dockerfile: {mount}"]
    if not wanted.secret:
        notes.append(
            f"Before that line: RUN pip install keyring {_KEYRING}. The build needs credentials of its own, such as "
            "the metadata server that `docker build --network=cloudbuild` reaches on Cloud Build."
        )
    return Plan((_pip_edit(path, wanted),), tuple(notes), "" if wanted.only else _CONFUSION.format(tool="pip"))


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
    name = _name(wanted, path, keys)
    # An explicit index can only be referred to from the file of a project.
    explicit = not wanted.only and not wanted.user
    entry: toml.Values = {
        "name": name,
        "url": wanted.public_index,
        "authenticate": "always",
        "explicit": True if explicit else None,
        "default": True if wanted.only else None,
    }
    edits = [Edit(path, partial(toml.with_entry, keys=keys, entry=entry))]
    if not wanted.secret:
        provider: toml.Values = {"keyring-provider": "subprocess"}
        edits.insert(0, Edit(path, partial(toml.with_values, keys=keys[:-1], values=provider)))
    source = f'[tool.uv.sources]\nPACKAGE = {{ index = "{name}" }}'
    notes = (f"Name what comes from it in pyproject.toml:\n{source}",) if explicit else ()
    keyring = _keyring_note(wanted, f"uv tool install keyring --with {_KEYRING}")
    return Plan(tuple(edits), (*notes, *keyring), uv=UvLogin(wanted.index, wanted.login))


def poetry(wanted: Wanted) -> Plan:
    """https://python-poetry.org/docs/repositories/"""
    if wanted.user:
        raise BadInput(
            "Poetry keeps package sources in projects alone.",
            fix="run it in the project, without --user",
            anchor="configure-scope",
        )
    path, keys = _pyproject(wanted), ("tool", "poetry", "source")
    name = _name(wanted, path, keys)
    entry: toml.Values = {"name": name, "url": wanted.index, "priority": "primary" if wanted.only else "explicit"}
    auth = partial(toml.with_values, keys=("http-basic", name), values=wanted.credential)
    notes = () if wanted.only else (f"poetry add --source {name} PACKAGE",)
    return Plan(
        (
            Edit(path, partial(toml.with_entry, keys=keys, entry=entry)),
            Edit(Path(places.poetry_auth_file(wanted.machine)), auth, secret=wanted.secret),
        ),
        (*notes, *_keyring_note(wanted, f"poetry self add {_KEYRING}")),
    )


def pdm(wanted: Wanted) -> Plan:
    """https://pdm-project.org/en/latest/usage/config/#configure-the-package-indexes"""
    keys = ("tool", "pdm", "source")
    project = None if wanted.user else _pyproject(wanted)
    if wanted.only:
        name = "pypi"  # the source of this name takes the place of PyPI
    else:
        name = _name(wanted, project, keys) if project else wanted.name or default_name(wanted.repository)
    stored = ("pypi",) if wanted.only else ("pypi", name)
    edits = []
    values = wanted.credential
    if project:
        entry: toml.Values = {"name": name, "url": wanted.public_index, "verify_ssl": True}
        edits.append(Edit(project, partial(toml.with_entry, keys=keys, entry=entry)))
    else:
        values = {"url": wanted.public_index, **values}
    change = partial(toml.with_values, keys=stored, values=values)
    edits.append(Edit(Path(places.pdm_file(wanted.machine)), change, secret=wanted.secret))
    return Plan(
        tuple(edits),
        _keyring_note(wanted, f"pdm self add keyring {_KEYRING}"),
        "" if wanted.only else _CONFUSION.format(tool="PDM"),
    )


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


def _name(wanted: Wanted, path: Path, keys: tuple[str, ...]) -> str:
    """The name that was asked for, or that the file has for this repository already."""
    known = understood(path, partial(toml.name_of, keys=keys, url=wanted.index), read(path))
    return wanted.name or known or default_name(wanted.repository)


def _keyring_note(wanted: Wanted, command: str) -> tuple[str, ...]:
    return (f"The keyring answers once this is installed beside it: {command}",) if not wanted.secret else ()
