"""Install with every tool and every kind of credential, and show the outcomes: `python -m bench.tools_matrix`.

Each cell has a new home and a new project. Its package needs a public one and a private one. The repository is in the
emulator, under its real host name, and has the public package, too, as a virtual repository does. A second index stands
in for PyPI; there, a stranger has published higher versions of the private packages.
"""

import argparse
import base64
import contextlib
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bench.publisher import PUBLISHER, REPOSITORY
from gar_emulator import Emulator, World
from gar_publish.configure.netrc import with_login
from gar_publish.github.job_environment import variables
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.index_url import OAUTH_USER, Login
from gar_publish.settings.repository import Repository
from tests.proxy import proxy_to
from tests.stored import store
from tests.wheels import make_wheel

RESULTS = Path(__file__).with_suffix(".json")
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "gar-publish-tools"
INSTALLED = "✓"
WAYS = ("--token", "--keyring", "--json-key", "netrc", "run", "setup")
"""Options of `gar-publish configure TOOL`; a plain URL in the project, with `configure netrc` or `gar-publish run`; the
exports of `setup`."""

INDEX = "https://us-central1-python.pkg.dev/demo-project/python/simple/"
NAME = "gar-demo-project-python"
PRIVATE, PUBLIC, STRANGER = "ours", "public", "a stranger's"
CELL_SECONDS = 300
_KEYRING = ("keyring", "keyrings.google-artifactregistry-auth")
_BUILD_TOOLS = ("setuptools==80.9.0", "pip==26.3")
"""What pre-commit and pipx themselves install."""

_GAR_PUBLISH = (sys.executable, "-m", "gar_publish.cli.main")
_CHECK = "import acme_hello, acme_sibling, everyday; print(acme_hello.SAYS)"


@dataclass(frozen=True)
class Tool:
    """A release of a tool.

    Attributes:
        name: Its name on PyPI.
        version: Its version.
        command: A shell command that installs `acme-hello` in a project.
        files: The project.
        configured: What `gar-publish configure` prepares for it: a tool, and perhaps an option.
        more: Requirements that its newest dependencies break.
    """

    name: str
    version: str
    command: str
    files: Mapping[str, str] = field(default_factory=dict)
    configured: str = "pip"
    more: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return f"{self.name} {self.version}"

    def installed(self, cache: Path) -> Path:
        """Return the folder of its programs, after installing it with the keyring beside it once."""
        folder = cache / f"{self.name}-{self.version}"
        if not (folder / "complete").exists():
            _uv("venv", "--clear", "--python", sys.executable, str(folder))
            _uv("pip", "install", "--python", str(folder), f"{self.name}=={self.version}", *self.more, *_KEYRING)
            (folder / "complete").touch()
        return folder / "bin"


_PROJECT = """[project]
name = "consumer"
version = "1"
requires-python = ">=3.11,<4"
dependencies = ["acme-hello", "acme-sibling"]
"""
_UV = f"""
[tool.uv.sources]
acme-hello.index = "{NAME}"
acme-sibling.index = "{NAME}"
"""
_POETRY = f"""[tool.poetry]
name = "consumer"
version = "1"
description = ""
authors = []
package-mode = false

[tool.poetry.dependencies]
python = ">=3.11,<4"
acme-hello = {{ version = "*", source = "{NAME}" }}
acme-sibling = {{ version = "*", source = "{NAME}" }}

[[tool.poetry.source]]
name = "public"
url = "PUBLIC_INDEX"
priority = "primary"
"""
_PIPFILE = f"""[[source]]
name = "pypi"
url = "PUBLIC_INDEX"
verify_ssl = true

[[source]]
name = "gar"
url = "{INDEX}"
verify_ssl = true

[packages]
acme-hello = {{ version = "*", index = "gar" }}
acme-sibling = {{ version = "*", index = "gar" }}
"""
_TOX = f"""[tox]
no_package = true

[testenv]
deps = acme-hello
pass_env = NETRC, XDG_CONFIG_DIRS, GCE_METADATA_*
commands = python -c "{_CHECK}"
"""
_HATCH = f"""[envs.default]
detached = true
dependencies = ["acme-hello"]
scripts.check = '''python -c "{_CHECK}"'''
"""
_NOX = f"""import nox

@nox.session
def tests(session):
    session.install("acme-hello")
    session.run("python", "-c", "{_CHECK}")
"""
_PRE_COMMIT = f"""repos:
  - repo: local
    hooks:
      - id: hello
        name: hello
        language: python
        entry: python -c "{_CHECK}"
        additional_dependencies: [acme-hello]
        always_run: true
        pass_filenames: false
"""
_PLAIN_INDEX = {
    "uv": f'\n[[tool.uv.index]]\nname = "{NAME}"\nurl = "{INDEX}"\nexplicit = true\n',
    "poetry": f'\n[[tool.poetry.source]]\nname = "{NAME}"\nurl = "{INDEX}"\npriority = "explicit"\n',
    "pdm": f'\n[[tool.pdm.source]]\nname = "pypi"\nurl = "{INDEX}"\nverify_ssl = true\n',
}
"""The index without a login, as in a pyproject.toml that a team commits."""

_PIP_INSTALL = "pip install --target .venv --no-cache-dir"
_POETRY_INSTALL = "poetry install --no-interaction --no-ansi"

TOOLS = (
    Tool("pip", "21.3.1", f"{_PIP_INSTALL} acme-hello", more=("setuptools==68.0.0",)),
    *(Tool("pip", version, f"{_PIP_INSTALL} acme-hello") for version in ("23.0.1", "26.3")),
    *(
        Tool("uv", version, "uv sync", {"pyproject.toml": _PROJECT + _UV}, "uv")
        for version in ("0.4.30", "0.7.22", "0.13.9")
    ),
    *(
        Tool("poetry", version, _POETRY_INSTALL, {"pyproject.toml": _POETRY}, "poetry")
        for version in ("1.8.5", "2.0.1", "2.5.1")
    ),
    *(
        Tool("pdm", version, "pdm install --no-self", {"pyproject.toml": _PROJECT}, "pdm", ("unearth==0.18.3", hishel))
        for version, hishel in (("2.20.1", "hishel==0.0.33"), ("2.29.3", "hishel==1.2.1"))
    ),
    Tool("pipenv", "2026.10.3", "pipenv install", {"Pipfile": _PIPFILE}),
    Tool(
        "pip-tools",
        "7.6.2",
        f"pip-compile -q requirements.in && {_PIP_INSTALL} -r requirements.txt",
        {"requirements.in": "acme-hello\n"},
        more=("pip==26.0",),
    ),
    Tool("tox", "4.67.15", "tox run", {"tox.ini": _TOX}),
    Tool("tox-uv", "1.37.1", "env -u UV_PYTHON tox run", {"tox.ini": _TOX}, "uv --user", ("tox==4.67.15",)),
    Tool("hatch", "1.18.2", "hatch run check", {"hatch.toml": _HATCH}),
    Tool("nox", "2026.10.20", "nox", {"noxfile.py": _NOX}),
    Tool("pipx", "1.18.4", "pipx install acme-hello"),
    Tool(
        "pre-commit",
        "4.7.0",
        "git init -q . && git add . && pre-commit run --all-files",
        {".pre-commit-config.yaml": _PRE_COMMIT},
    ),
)


@dataclass(frozen=True)
class Indexes:
    """The repository behind a proxy, and the index that stands in for PyPI."""

    registry: Emulator
    proxy: str
    public: str


@contextlib.contextmanager
def indexes(folder: Path, cache: Path) -> Iterator[Indexes]:
    """Start both indexes, with what every cell installs."""
    build_tools = cache / "wheels"
    if not build_tools.exists():
        downloads = build_tools.with_suffix(".part")
        _pip("download", "--no-deps", "--dest", str(downloads), *_BUILD_TOOLS)
        downloads.rename(build_tools)
    root = folder / "public"
    everyday = make_wheel(root / "everyday", "everyday", content=f"SAYS = {PUBLIC!r}\n")
    for name in ("acme-hello", "acme-sibling"):
        make_wheel(root / name, name, "99.0", content=f"SAYS = {STRANGER!r}\n")
    for wheel in build_tools.iterdir():
        (root / wheel.name.partition("-")[0]).mkdir()
        shutil.copy(wheel, root / wheel.name.partition("-")[0])
    says = f"SAYS = {PRIVATE!r}\ndef main():\n    print(SAYS)\n"
    program = "[console_scripts]\nacme-hello = acme_hello:main\n"
    requires = ("everyday", "acme-sibling")
    hello = make_wheel(folder / "dist", "acme-hello", requires=requires, content=says, entry_points=program)
    sibling = make_wheel(folder / "dist", "acme-sibling", content=says)
    with (
        Emulator(World.default(), data=folder / "emulator", tls=True, production_names=True) as registry,
        ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(root))) as server,
        proxy_to(int(registry.url.rpartition(":")[2]), set()) as proxy,
    ):
        (repository,) = (each for each in registry.cloud.repositories if each.resource.endswith("/python"))
        store(registry, repository, hello, sibling, everyday, *build_tools.iterdir())
        threading.Thread(target=server.serve_forever).start()
        try:
            yield Indexes(registry, proxy, f"http://127.0.0.1:{server.server_port}/")
        finally:
            server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


class Cell:
    """One tool with one kind of credential, in a new home and a new project.

    Attributes:
        wrong: What the tool did that it must not do, such as installing a stranger's package or showing a secret.
    """

    def __init__(self, tool: Tool, way: str, indexes: Indexes, folder: Path, cache: Path) -> None:
        self.wrong: list[str] = []
        self._tool, self._way, self._indexes = tool, way, indexes
        self._home, self._project = folder / "home", folder / "project"
        exports = indexes.registry.exports()
        self._environment = {
            **{name: value for name, value in exports.items() if name.startswith("GCE_METADATA")},
            "HOME": str(self._home),
            "PATH": f"{tool.installed(cache)}:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "HTTPS_PROXY": indexes.proxy,
            "NO_PROXY": "127.0.0.1",
            "REQUESTS_CA_BUNDLE": exports["REQUESTS_CA_BUNDLE"],
            "SSL_CERT_FILE": exports["SSL_CERT_FILE"],
            "XDG_CONFIG_DIRS": str(folder / "xdg"),  # the settings of the machine
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PDM_CHECK_UPDATE": "false",
            "PIPENV_VENV_IN_PROJECT": "1",
            "PIPX_DEFAULT_PYTHON": sys.executable,
            "POETRY_VIRTUALENVS_IN_PROJECT": "true",
            "UV_NO_CACHE": "1",
            "UV_PYTHON": sys.executable,
            "UV_DEFAULT_INDEX": indexes.public,
        }
        for path, text in {
            folder / "token": indexes.registry.access_token(PUBLISHER),
            folder / "xdg/pip/pip.conf": f"[global]\nindex-url = {indexes.public}\n",
            folder / "xdg/pdm/config.toml": f'[pypi]\nurl = "{indexes.public}"\n',
            self._home / ".gitconfig": "",
            **{self._project / name: text for name, text in tool.files.items()},
        }.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("PUBLIC_INDEX", indexes.public))
        self._project.mkdir(exist_ok=True)

    def outcome(self) -> str:
        """Return `INSTALLED`, or the sentence that the user gets; in bold, what is in `wrong`."""
        outcome, said = INSTALLED, ""
        try:
            for command in self._commands():
                said += self._run(*command)
        except subprocess.CalledProcessError as failed:
            said += failed.stdout
            outcome = sentence(failed.stdout, self._indexes)
        else:
            self._check()
        self._search(said)
        return outcome if not self.wrong else f"**{'; '.join(self.wrong)}**"

    def _commands(self) -> Iterator[tuple[str, ...]]:
        command = ("sh", "-c", self._tool.command)
        if self._way in {"netrc", "run"} or (self._way == "setup" and self._declares_index):
            self._name_plain_index()
        if self._way == "setup":
            self._set_up()
            yield command
            return
        if self._way == "run":
            yield (*_GAR_PUBLISH, "run", "--repository", REPOSITORY, "--", *command)
            return
        tool = "netrc" if self._way == "netrc" else self._tool.configured
        kind = {
            "--keyring": ("--keyring",),
            "--json-key": ("--json-key", str(self._indexes.registry.key_file(PUBLISHER))),
        }.get(self._way, ("--token", "--access-token", "../token"))
        only = ("--only",) if tool in {"pip", "pdm"} else ()
        yield (*_GAR_PUBLISH, "configure", *tool.split(), "--repository", REPOSITORY, *kind, *only)
        yield command

    def _name_plain_index(self) -> None:
        """Name the index without a login, in a file that a team commits or in a variable."""
        if self._declares_index:
            file = self._project / "pyproject.toml"
            file.write_text(file.read_text() + _PLAIN_INDEX[self._tool.name])
        else:
            self._environment |= {"PIP_INDEX_URL": INDEX, "UV_INDEX": INDEX}

    @property
    def _declares_index(self) -> bool:
        """Return whether the project of the tool names the index."""
        return self._tool.name in _PLAIN_INDEX

    def _set_up(self) -> None:
        """Set the variables of `setup/action.yml`, with `only: true` where the project does not name the index."""
        repository = Repository.parse(REPOSITORY, endpoints=Endpoints.from_environment({}))
        token = (self._project / "../token").read_text()
        netrc = self._project / "../netrc"
        netrc.write_text(with_login("", repository.host, Login(OAUTH_USER, token)))
        netrc.chmod(0o600)
        self._environment |= variables(
            repository,
            token,
            only=not self._declares_index,
            index_name=None,
            in_uv={NAME} if self._declares_index else None,
            has_netrc=True,
            before={},
        )
        self._environment["NETRC"] = str(netrc)

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            command,
            cwd=self._project,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
            timeout=CELL_SECONDS,
        )
        return done.stdout

    def _check(self) -> None:
        """Look for the packages wherever the tool has put them."""
        for name, wanted in (("acme_hello", PRIVATE), ("acme_sibling", PRIVATE), ("everyday", PUBLIC)):
            found = [file.read_text() for each in (self._project, self._home) for file in each.rglob(f"{name}.py")]
            if not found:
                self.wrong.append(f"{name} is not installed")
            if any(f"SAYS = {wanted!r}" not in text for text in found):
                self.wrong.append(f"installs the stranger's {name}")

    def _search(self, said: str) -> None:
        """Look for the token and the key in the output, in the project, and in files that others can read."""
        key = self._indexes.registry.key_file(PUBLISHER).read_bytes()
        private = json.loads(key)["private_key"].splitlines()[1].encode()
        secrets = (b"ya29.", private, base64.b64encode(key)[:200])
        if any(secret in said.encode() for secret in secrets):
            self.wrong.append("prints a secret")
        for root in (self._project, self._home):
            for file in root.rglob("*"):
                if not file.is_file() or file.is_symlink() or not any(each in file.read_bytes() for each in secrets):
                    continue
                name = file.relative_to(root)
                if root == self._project:
                    self.wrong.append(f"writes a secret into {name}")
                elif file.stat().st_mode & 0o077:
                    self.wrong.append(f"others can read the secret in {name}")


def sentence(said: str, indexes: Indexes) -> str:
    """Return the paragraph of a tool's output that says why it failed, without paths and ports of this machine."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip(" │├╰─▶\u00d7") for line in said.splitlines()]
    telling = re.compile(r"(?i)\berror\b|\b40[13]\b|could not|unable|unauthor|no solution")
    first = next((number for number, line in enumerate(lines) if telling.search(line)), 0)
    line = " ".join(itertools.takewhile(bool, lines[first:])).split(". ")[0]
    line = line.replace(indexes.public, "https://pypi.example/").replace("|", "\\|")
    return re.sub(r"/(?:tmp|var|root|home)\S*/", "", line)[:250] or "no output"


def _uv(*arguments: str) -> None:
    subprocess.run([Path(sys.executable).with_name("uv"), "--quiet", *arguments], check=True)


def _pip(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *arguments], check=True)


def main() -> int:
    """Run all cells; with `--write`, write the results for `make docs`.

    Returns:
        1 if a cell shows or commits a secret, or installs a stranger's package.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="a part of the label of tools")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where the tools are installed")
    parser.add_argument("--write", action="store_true", help=f"write bench/{RESULTS.name} for `make docs`")
    options = parser.parse_args()
    results: dict[str, dict[str, str]] = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    wrong = 0
    with (
        tempfile.TemporaryDirectory(prefix="gar-publish-bench-") as scratch,
        indexes(Path(scratch), options.cache) as both,
    ):
        for tool in (each for each in TOOLS if options.only in each.label):
            for way in WAYS:
                folder = Path(scratch) / f"{tool.name}-{tool.version}{way}"
                cell = Cell(tool, way, both, folder, options.cache)
                began = time.monotonic()
                outcome = cell.outcome()
                print(f"{tool.label:20} {way:10} {time.monotonic() - began:5.1f} s  {outcome}", flush=True)
                results.setdefault(tool.label, {})[way] = outcome
                wrong += len(cell.wrong)
            if options.write:
                rows = {each.label: results[each.label] for each in TOOLS if each.label in results}
                RESULTS.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
