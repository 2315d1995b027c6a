"""The changes that each tool needs to use one repository."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from gar_publish.configure import ini, netrc, places, toml
from gar_publish.configure.files import Edit, parsed, read
from gar_publish.configure.indexes import Indexes
from gar_publish.configure.places import Machine
from gar_publish.errors import BadInput
from gar_publish.settings.index_url import Login, default_name, url_with_login
from gar_publish.settings.repository import Repository

_CONFUSION = (
    "{tool} installs the highest version that any index has, so a public package can replace a private one of the same "
    "name (dependency confusion). Pin hashes, or make a virtual repository the only index with `--only`."
)
_KEYRING = "keyrings.google-artifactregistry-auth"


@dataclass(frozen=True)
class Request:
    """What a tool should be configured for.

    Attributes:
        repository: The repository to install from, or to upload to.
        login: The user name and password for the tool.
        name: The tool's name for the repository; None for the name that it has already, or one made from its path.
        only: Whether the tool should use no other index, PyPI included.
        user: Whether to write the user's settings instead of a project's.
        folder: The project.
        machine: The facts that the user's paths depend on.
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
        """Return the index URL for a file that others can read: with the user name if a keyring has the password."""
        return url_with_login(self.index, self.login) if not self.secret else self.index

    @property
    def secret(self) -> bool:
        """Return whether there is a password to protect."""
        return self.login.password is not None

    @property
    def credential(self) -> dict[str, str | bool | None]:
        """Return user name and password for a private file; both None if a keyring has them."""
        return {"username": self.login.user if self.secret else None, "password": self.login.password}


@dataclass(frozen=True)
class Plan:
    """The changes for a tool.

    Attributes:
        edits: The files to change.
        notes: The user's next steps.
        warnings: Warnings for the user.
        in_uv: Whether the login goes into uv's own store, whose format only uv knows.
    """

    edits: tuple[Edit, ...]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    in_uv: bool = False


def pip(request: Request) -> Plan:
    """https://pip.pypa.io/en/stable/topics/authentication/"""
    path = Path(places.pip_file(request.machine))
    overriding = ", ".join(_overriding(request))
    return Plan(
        (_pip_edit(path, request),),
        _keyring_note(request, f"pip install keyring {_KEYRING}"),
        (*_confusion(request, "pip"), *([f"These override {path}: {overriding}."] if overriding else [])),
    )


def docker(request: Request) -> Plan:
    """https://docs.docker.com/build/building/secrets/"""
    path = Path(places.docker_file(request.machine, request.name or default_name(request.repository)))
    mount = "RUN --mount=type=secret,id=pip,target=/etc/pip.conf pip install --require-hashes -r requirements.txt"
    notes = [f'docker build --secret "id=pip,src={path}" .', f"In the Dockerfile: {mount}"]
    if not request.secret:
        notes.append(
            f"Before that line: RUN pip install keyring {_KEYRING}. The build needs credentials of its own, such as "
            "the metadata server on Cloud Build (`docker build --network=cloudbuild`)."
        )
    return Plan((_pip_edit(path, request),), tuple(notes), _confusion(request, "pip"))


def twine(request: Request) -> Plan:
    """https://twine.readthedocs.io/en/stable/#configuration"""
    name = request.name or default_name(request.repository)
    change = partial(ini.with_pypirc_repository, name=name, url=request.repository.upload_url, login=request.login)
    edit = Edit(Path(places.pypirc_file(request.machine)), change, secret=request.secret)
    return Plan(
        (edit,), (f"twine upload --repository {name} dist/*", *_keyring_note(request, f"pip install {_KEYRING}"))
    )


def netrc_file(request: Request) -> Plan:
    """A login for all repositories of a host, which the tools use for plain URLs."""
    if not request.secret:
        raise BadInput(
            "A netrc file cannot refer to a keyring.",
            fix="add `--token`, or `--json-key FILE`",
            anchor="one-login",
        )
    path = Path(places.netrc_file(request.machine))
    edit = Edit(path, partial(netrc.with_login, host=request.repository.host, login=request.login), secret=True)
    return Plan((edit,), (f"The index for pip, uv, Poetry and PDM, without a login: {request.index}",))


def uv(request: Request) -> Plan:
    """https://docs.astral.sh/uv/concepts/indexes/"""
    keys: tuple[str, ...]
    if request.user:
        path, keys = Path(places.uv_file(request.machine)), ("index",)
    elif (request.folder / "uv.toml").exists():  # then uv ignores [tool.uv]
        path, keys = request.folder / "uv.toml", ("index",)
    else:
        path, keys = _pyproject(request), ("tool", "uv", "index")
    indexes = Indexes.read(path, keys, explicit=("explicit", True))
    name = _name(request, indexes)
    entry: toml.Values = {"name": name, "url": request.public_index, "authenticate": "always"}
    # Only a project's file can refer to an explicit index.
    explicit = not request.only and not request.user
    if request.only:
        entry = {**entry, "explicit": None, "default": True}
    new: toml.Values = {"explicit": True} if explicit else {}
    edits = [Edit(path, partial(toml.with_entry, keys=keys, entry=entry, new=new))]
    if not request.secret:
        provider: toml.Values = {"keyring-provider": "subprocess"}
        edits.insert(0, Edit(path, partial(toml.with_values, keys=keys[:-1], values=provider)))
    names = f'[tool.uv.sources]\nPACKAGE = {{ index = "{name}" }}'
    notes = (f"Name the packages that come from it in pyproject.toml:\n{names}",) if explicit else ()
    # With the new settings, uv would call the keyring, which is not installed yet.
    keyring = _keyring_note(request, f"uv --no-config tool install keyring --with {_KEYRING}")
    warnings = indexes.warnings(name, only=request.only, new_is_explicit=explicit)
    return Plan(tuple(edits), (*notes, *keyring), warnings, in_uv=True)


def poetry(request: Request) -> Plan:
    """https://python-poetry.org/docs/repositories/"""
    if request.user:
        raise BadInput(
            "Poetry has package sources only in projects.",
            fix="run it without `--user`, in the project or with `--folder`",
            anchor="configure-scope",
        )
    path, keys = _pyproject(request, "run it in a project, or use `--folder`"), ("tool", "poetry", "source")
    indexes = Indexes.read(path, keys, explicit=("priority", "explicit"))
    name = _name(request, indexes)
    entry: toml.Values = {"name": name, "url": request.index}
    new: toml.Values = {"priority": "explicit"}
    if request.only:
        entry, new = {**entry, "priority": "primary"}, {}
    auth = partial(toml.with_values, keys=("http-basic", name), values=request.credential)
    notes = () if request.only else (f"poetry add --source {name} PACKAGE",)
    return Plan(
        (
            Edit(path, partial(toml.with_entry, keys=keys, entry=entry, new=new)),
            Edit(Path(places.poetry_auth_file(request.machine)), auth, secret=request.secret),
        ),
        (*notes, *_keyring_note(request, f"poetry self add {_KEYRING}")),
        indexes.warnings(name, only=request.only, new_is_explicit=True),
    )


def pdm(request: Request) -> Plan:
    """https://pdm-project.org/en/latest/usage/config/#configure-the-package-indexes"""
    keys = ("tool", "pdm", "source")
    indexes = Indexes.read(_pyproject(request), keys) if not request.user else None
    # A source of this name replaces PyPI.
    name = "pypi" if request.only else _name(request, indexes)
    values, warnings, edits = request.credential, _confusion(request, "PDM"), []
    if indexes:
        entry: toml.Values = {"name": name, "url": request.public_index}
        edits.append(Edit(indexes.path, partial(toml.with_entry, keys=keys, entry=entry, new={"verify_ssl": True})))
        if request.only:
            warnings = indexes.warnings(name, only=True, new_is_explicit=False)
    else:
        values = {"url": request.public_index, **values}
    change = partial(toml.with_values, keys=("pypi",) if request.only else ("pypi", name), values=values)
    edits.append(Edit(Path(places.pdm_file(request.machine)), change, secret=request.secret))
    return Plan(tuple(edits), _keyring_note(request, f"pdm self add keyring {_KEYRING}"), warnings)


TOOLS: Mapping[str, Callable[[Request], Plan]] = MappingProxyType(
    {"pip": pip, "uv": uv, "poetry": poetry, "pdm": pdm, "twine": twine, "docker": docker, "netrc": netrc_file}
)


def _pip_edit(path: Path, request: Request) -> Edit:
    url = url_with_login(request.index, request.login)
    return Edit(path, partial(ini.with_pip_index, url=url, only=request.only), secret=request.secret)


def _pyproject(request: Request, fix: str = "run it in a project, or use `--folder` or `--user`") -> Path:
    path = request.folder / "pyproject.toml"
    if not path.is_file():
        raise BadInput(
            f"There is no project in {request.folder}: pyproject.toml is missing.",
            fix=fix,
            anchor="configure-scope",
        )
    return path


def _name(request: Request, indexes: Indexes | None) -> str:
    """Return the requested name, the name in the file, or the default."""
    return request.name or (indexes and indexes.name_of(request.index)) or default_name(request.repository)


def _confusion(request: Request, tool: str) -> tuple[str, ...]:
    return () if request.only else (_CONFUSION.format(tool=tool),)


def _overriding(request: Request) -> Iterator[str]:
    """Yield what overrides pip.conf: https://pip.pypa.io/en/stable/topics/configuration/#precedence-override-order"""
    machine = request.machine
    for variable in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL") if request.only else ("PIP_EXTRA_INDEX_URL",):
        if machine.named(variable):
            yield variable
    file = places.pip_environment_file(machine)
    if file and not machine.named("PIP_CONFIG_FILE") and parsed(Path(file), ini.names_pip_indexes, read(Path(file))):
        yield str(file)


def _keyring_note(request: Request, command: str) -> tuple[str, ...]:
    return (f"Install the keyring's backend: {command}",) if not request.secret else ()
