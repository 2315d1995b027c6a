"""The changes that each tool needs to use one repository."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from gar_publish.configure import ini, netrc, places, toml
from gar_publish.configure.files import Edit, loaded, parsed
from gar_publish.configure.indexes import Indexes
from gar_publish.configure.places import Machine
from gar_publish.errors import BadInput
from gar_publish.projects.workspaces import members
from gar_publish.settings.index_url import Login, default_name, redacted, same_index, url_with_login, url_without_login
from gar_publish.settings.repository import Repository, is_web_url

_CONFUSION = (
    "{tool} installs the highest version that any index has, so a public package can replace a private one of the same "
    "name (dependency confusion). Pin hashes, or make the repository the only index with `--only`."
)
_EXCLUDE_NEWER = (
    "{where} sets exclude-newer, so uv ignores files without an upload time, and Artifact Registry may give none. If "
    "uv finds no version, exempt each package: `exclude-newer-package = {{ PACKAGE = false }}` (uv 0.9.26 or newer)."
)
_ONE_LOGIN = (
    "uv may download files from all indexes on {host} with one stored login: {others}, too. If they need different "
    "logins, set UV_INDEX_NAME_USERNAME and UV_INDEX_NAME_PASSWORD for each index."
)
_NAME_IT = (
    "Name the {what} for each package that comes from it, also for those that only another of your packages requires. "
    "Otherwise, {tool} takes them from another, such as PyPI{when}. The command:"
)
_TOOL_UV = ("tool", "uv")
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
    """https://pip.pypa.io/en/stable/topics/authentication/

    A secret goes into a netrc file, because pip-compile copies the URL of the index into requirements.txt.
    """
    path = Path(places.pip_file(request.machine))
    warnings = [*_confusion(request, "pip")]
    if overriding := ", ".join(_overriding(request)):
        warnings.append(f"These override {path}: {overriding}.")
    if replaced := ", ".join(_replaced(path, request)):
        warnings.append(f"pip does not use any more: {replaced}. Without `--only`, it uses them again.")
    if hidden := ", ".join(_hidden(path, request)):
        warnings.append(f"{path} hides other indexes: {hidden}. Add those that pip needs to `extra-index-url` there.")
    index = Edit(path, partial(ini.with_pip_index, url=request.public_index, only=request.only))
    login = netrc_file(request) if request.secret else Plan(())
    keyring = _keyring_note(request, f"pip install keyring {_KEYRING}", confused="pip")
    return Plan((index, *login.edits), (*login.notes, *keyring), tuple(warnings))


def docker(request: Request) -> Plan:
    """https://docs.docker.com/build/building/secrets/"""
    path = Path(places.docker_file(request.machine, request.name or default_name(request.repository)))
    run = "RUN --mount=type=secret,id=pip PIP_CONFIG_FILE=/run/secrets/pip pip install --require-hashes"
    notes = [f'docker build --secret "id=pip,src={path}" .', f"In the Dockerfile: {run} -r requirements.txt"]
    if not request.secret:
        notes.append(
            f"Before that line: RUN pip install keyring {_KEYRING}. The build needs credentials of its own, such as "
            "the metadata server on Cloud Build (`docker build --network=cloudbuild`)."
        )
    url = url_with_login(request.index, request.login)
    edit = Edit(path, partial(ini.with_pip_index, url=url, only=request.only), secret=request.secret)
    return Plan((edit,), tuple(notes), _confusion(request, "pip"))


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
    notes = (
        f"The index for pip, uv, Poetry and PDM, without a login: {request.index}",
        f"This is the only login for {request.repository.host}: its other repositories are read with it, too.",
    )
    return Plan((edit,), notes)


def uv(request: Request) -> Plan:
    """https://docs.astral.sh/uv/concepts/indexes/"""
    settings, keys = _uv_settings(request)
    # Only a project's own file can refer to an explicit index.
    explicit = not request.only and not request.user
    path, above = (_pyproject(request), _TOOL_UV) if explicit else (settings, keys)
    indexes = Indexes.read(
        path, (*above, "index"), explicit=("explicit", True), replaces_pypi=lambda each: each.get("default") is True
    )
    name = _name(request, indexes)
    entry: toml.Values = {
        "name": name,
        "url": request.public_index,
        "publish-url": request.repository.upload_url,
        "authenticate": "always",
    }
    if request.only:
        entry = {**entry, "explicit": None, "default": True}
    new: toml.Values = {"explicit": True} if explicit else {}
    edits = [Edit(path, partial(toml.with_entry, keys=(*above, "index"), entry=entry, new=new))]
    if not request.secret:
        provider: toml.Values = {"keyring-provider": "subprocess"}
        edits.insert(0, Edit(settings, partial(toml.with_values, keys=keys, values=provider)))
    how = _NAME_IT.format(what="index", tool="uv", when=", at the latest with `uv lock --upgrade`")
    notes = (f"{how}\nuv add --index {name}={request.public_index} PACKAGE",) if explicit else ()
    # With the new settings, uv would call the keyring, which is not installed yet.
    keyring = _keyring_note(request, f"uv --no-config tool install keyring --with {_KEYRING}")
    if request.secret:
        notes = (*notes, "uv 0.8.15 or newer has this login. For an older uv, also run `gar-publish configure netrc`.")
    warnings = (
        *indexes.warnings(name, only=request.only, new_is_explicit=explicit),
        *_left_out_by_uv(request, settings, keys),
        *_others_of_host(request, indexes),
    )
    return Plan(tuple(edits), (*notes, *keyring), warnings, in_uv=True)


def _left_out_by_uv(request: Request, settings: Path, keys: tuple[str, ...]) -> Iterator[str]:
    """Yield a warning of the setting that makes uv ignore files without an upload time."""
    if request.repository.resource is None:
        return
    where = "UV_EXCLUDE_NEWER" if request.machine.named("UV_EXCLUDE_NEWER") else ""
    own = Path(places.uv_file(request.machine))
    for file, table in ((settings, keys), (own, ())):
        found = parsed(file, partial(toml.table, keys=table))
        where = where or (str(file) if "exclude-newer" in found else "")
    if where:
        yield _EXCLUDE_NEWER.format(where=where)


def _others_of_host(request: Request, indexes: Indexes) -> Iterator[str]:
    """Yield a warning of indexes that uv reads with the stored login of this one."""
    host = request.repository.host
    urls = [
        url for each in indexes.listed if is_web_url(url := str(each.get("url", ""))) and urlsplit(url).hostname == host
    ]
    others = [url_without_login(url) for url in urls if not same_index(url, request.index)]
    if request.secret and others:
        yield _ONE_LOGIN.format(host=host, others=", ".join(others))


def _uv_settings(request: Request) -> tuple[Path, tuple[str, ...]]:
    """Return the file that uv reads settings from, and the table in it.

    A workspace has those of its root, and a `uv.toml` hides the `[tool.uv]` beside it.
    """
    if request.user:
        return Path(places.uv_file(request.machine)), ()
    folder = _pyproject(request).parent.resolve()
    above = (each for each in folder.parents if folder in (members(each, loaded(each / "pyproject.toml"), {}) or ()))
    root = next(above, request.folder)
    beside = root / "uv.toml"
    return (beside, ()) if beside.exists() else (root / "pyproject.toml", _TOOL_UV)


def poetry(request: Request) -> Plan:
    """https://python-poetry.org/docs/repositories/"""
    if request.user:
        raise BadInput(
            "Poetry has package sources only in projects.",
            fix="run it without `--user`, in the project or with `--folder`",
            anchor="configure-scope",
        )
    path, keys = _pyproject(request, "run it in a project, or use `--folder`"), ("tool", "poetry", "source")
    indexes = Indexes.read(
        path,
        keys,
        explicit=("priority", "explicit"),
        replaces_pypi=lambda each: each.get("priority", "primary") == "primary",
    )
    name = _name(request, indexes)
    entry: toml.Values = {"name": name, "url": request.index}
    new: toml.Values = {"priority": "explicit"}
    if request.only:
        entry, new = {**entry, "priority": "primary"}, {}
    upload = partial(toml.with_values, keys=("repositories", name), values={"url": request.repository.upload_url})
    auth = partial(toml.with_values, keys=("http-basic", name), values=request.credential)
    own = Path(places.poetry_folder(request.machine))
    how = _NAME_IT.format(what="source", tool="Poetry", when="")
    notes = () if request.only else (f"{how}\npoetry add --source {name} PACKAGE",)
    return Plan(
        (
            Edit(path, partial(toml.with_entry, keys=keys, entry=entry, new=new)),
            Edit(own / "config.toml", upload),
            Edit(own / "auth.toml", auth, secret=request.secret),
        ),
        (*notes, *_keyring_note(request, f"poetry self add {_KEYRING}")),
        indexes.warnings(name, only=request.only, new_is_explicit=True),
    )


def pdm(request: Request) -> Plan:
    """https://pdm-project.org/en/latest/usage/config/#configure-the-package-indexes"""
    keys = ("tool", "pdm", "source")
    path = Path(places.pdm_file(request.machine))
    if request.user:
        indexes = _of_pdm_user(path)
    else:
        indexes = Indexes.read(_pyproject(request), keys, replaces_pypi=_is_named_pypi)
    name = "pypi" if request.only else _name(request, indexes)
    is_alone = name == "pypi"
    values, edits = request.credential, []
    if request.user:
        values = {"url": request.public_index, **values}
    else:
        entry: toml.Values = {"name": name, "url": request.public_index}
        edits.append(Edit(indexes.path, partial(toml.with_entry, keys=keys, entry=entry, new={"verify_ssl": True})))
    uploads: toml.Values = {"url": request.repository.upload_url, **request.credential}
    for table, its in (
        (("pypi",) if is_alone else ("pypi", name), values),
        (("repository", default_name(request.repository) if is_alone else name), uploads),
    ):
        edits.append(Edit(path, partial(toml.with_values, keys=table, values=its), secret=request.secret))
    return Plan(
        tuple(edits),
        _keyring_note(request, f"pdm self add keyring {_KEYRING}", confused="PDM"),
        indexes.warnings(name, only=request.only, new_is_explicit=False) if is_alone else _confusion(request, "PDM"),
    )


def _of_pdm_user(path: Path) -> Indexes:
    """Return the indexes of PDM's own settings: the one for PyPI is a table, and others are tables in it."""
    found = parsed(path, partial(toml.table, keys=("pypi",)))
    others = [{"name": name, **each} for name, each in found.items() if isinstance(each, dict)]
    listed = [{"name": "pypi", "url": found["url"]}, *others] if "url" in found else others
    return Indexes(path, None, _is_named_pypi, listed)


def _is_named_pypi(index: Mapping[str, Any]) -> bool:
    """Return whether PDM uses an index in place of PyPI."""
    return index.get("name") == "pypi"


TOOLS: Mapping[str, Callable[[Request], Plan]] = MappingProxyType(
    {"pip": pip, "uv": uv, "poetry": poetry, "pdm": pdm, "twine": twine, "docker": docker, "netrc": netrc_file}
)


def _pyproject(request: Request, fix: str = "run it in a project, or use `--folder` or `--user`") -> Path:
    path = request.folder / "pyproject.toml"
    if not path.is_file():
        raise BadInput(
            f"There is no project in {request.folder}: pyproject.toml is missing.",
            fix=fix,
            anchor="configure-scope",
        )
    return path


def _name(request: Request, indexes: Indexes) -> str:
    """Return the requested name, the name in the file, or the default."""
    return request.name or indexes.name_of(request.index) or default_name(request.repository)


def _confusion(request: Request, tool: str) -> tuple[str, ...]:
    return () if request.only else (_CONFUSION.format(tool=tool),)


def _overriding(request: Request) -> Iterator[str]:
    """Yield what overrides pip.conf: https://pip.pypa.io/en/stable/topics/configuration/#precedence-override-order"""
    machine = request.machine
    for variable in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL") if request.only else ("PIP_EXTRA_INDEX_URL",):
        if machine.named(variable):
            yield variable
    file = places.pip_environment_file(machine)
    if file and not machine.named("PIP_CONFIG_FILE") and parsed(Path(file), ini.pip_indexes):
        yield str(file)


def _replaced(path: Path, request: Request) -> Iterator[str]:
    """Yield the indexes of a pip.conf that make room for the only one."""
    listed = parsed(path, ini.pip_indexes) if request.only else []
    return (redacted(each) for each in listed if not same_index(each, request.index))


def _hidden(path: Path, request: Request) -> Iterator[str]:
    """Yield the indexes of files that pip does not read any more, because the same option is in this one now."""
    options = ("index-url", "extra-index-url") if request.only else ("extra-index-url",)
    of_options = partial(ini.pip_indexes, options=options)
    if parsed(path, of_options):
        return  # they were hidden before
    for file in map(Path, places.weaker_pip_files(request.machine)):
        for each in parsed(file, of_options):
            yield f"{redacted(each)} ({file})"


def _keyring_note(request: Request, command: str, *, confused: str = "") -> tuple[str, ...]:
    """Return how to install the keyring; `confused` is a tool that goes on without a login."""
    if request.secret:
        return ()
    why = f"Without a login from the keyring, {confused} takes public packages of the same names. " if confused else ""
    return (f"{why if not request.only else ''}Install the keyring's backend: {command}",)
