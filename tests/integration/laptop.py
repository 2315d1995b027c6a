"""A laptop with real tools, for tests of what they install."""

import http.server
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from gar_emulator import Emulator
from tests.integration.frontdoors import PUBLISHER, REPOSITORY, Done, Doors
from tests.leaks import Leaks
from tests.stored import store
from tests.wheels import make_wheel

BIN = Path(sys.executable).parent
NAME = "gar-demo-project-python"
PROJECT = '[project]\nname = "consumer"\nversion = "1"\nrequires-python = ">=3.11,<4"\ndependencies = ["hello"]\n'
POETRY = f'\n[tool.poetry]\npackage-mode = false\ndependencies = {{ hello = {{ source = "{NAME}" }} }}\n'


@pytest.fixture
def public_index() -> Iterator[str]:
    """An empty public index."""

    class Empty(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Empty) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/simple/"
        server.shutdown()


class ToolFailure(Exception):
    """A tool failed."""


@dataclass(frozen=True)
class Laptop:
    """An empty home folder and a project; Artifact Registry has its real host name."""

    home: Path
    project: Path
    environment: Mapping[str, str]
    registry: Emulator

    def configure(self, tool: str, kind: str, *options: str) -> Done:
        """Run `gar-publish configure` with one kind of credential."""
        given = {
            "token": ("--token", "--access-token", "../token"),
            "fresh token": ("--token",),
            "keyring": ("--keyring",),
            "json-key": ("--json-key", str(self.registry.key_file(PUBLISHER))),
        }[kind]
        doors = Doors(self.project, self.environment)
        done = doors.command("configure", tool, "--repository", REPOSITORY, *given, *options)
        assert done.code == 0, done.err
        return done

    def run(self, program: str, *arguments: str | Path, **more: str) -> str:
        """Run a tool in the project."""
        done = subprocess.run(
            [shutil.which(program, path=str(BIN)) or program, *arguments],
            cwd=self.project,
            env={**self.environment, **more},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if done.returncode:
            raise ToolFailure(done.stdout + done.stderr)
        return done.stdout + done.stderr

    def files(self) -> dict[Path, str]:
        """Return every settings file and its text."""
        folders = [self.home / ".config", self.home / ".local/share/uv/credentials"]
        found = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
        known = [self.home / ".netrc", self.home / ".pypirc", self.project / "pyproject.toml"]
        return {file: file.read_text() for file in [*found, *known] if file.is_file()}

    def readers(self) -> set[str]:
        """Return the principals that have downloaded a file."""
        return {
            seen.principal
            for seen in self.registry.requests
            if seen.path.endswith(".whl") and seen.status in {200, 307}
        }


@pytest.fixture
def laptop(
    production: Emulator, proxy: str, public_index: str, *, clean_env: dict[str, str], tmp_path: Path, leaks: Leaks
) -> Laptop:
    exports = production.exports()
    home = Path(clean_env["HOME"])
    leaks.expect(home)  # its settings contain a secret on purpose
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(PROJECT + POETRY)
    (tmp_path / "token").write_text(production.access_token(PUBLISHER))
    environment = {
        **{name: value for name, value in clean_env.items() if name != "PIP_CONFIG_FILE"},
        **{name: value for name, value in exports.items() if name.startswith("GCE_METADATA")},
        "HTTPS_PROXY": proxy,
        "NO_PROXY": "127.0.0.1",
        "REQUESTS_CA_BUNDLE": exports["REQUESTS_CA_BUNDLE"],
        "SSL_CERT_FILE": exports["SSL_CERT_FILE"],
        "PATH": f"{BIN}:/usr/bin:/bin",
        "PYTHONWARNINGS": "",
        "PIP_INDEX_URL": public_index,
        "PDM_PYPI_URL": public_index,
        "PDM_CHECK_UPDATE": "false",
        "POETRY_VIRTUALENVS_IN_PROJECT": "true",
        "UV_NO_CACHE": "1",
        "UV_PYTHON": sys.executable,
    }
    laptop = Laptop(home, project, environment, production)
    wheel = make_wheel(tmp_path / "dist", "hello", entry_points="[console_scripts]\nhello = hello:main\n")
    (repository,) = (each for each in production.cloud.repositories if each.resource.endswith("/python"))
    store(production, repository, wheel)
    return laptop
