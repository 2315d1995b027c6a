"""Real pip-compile and Pipenv write a token only where somebody has put it into an option."""

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from gar_publish.github.job_environment import variables
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.repository import Repository
from tests.integration.frontdoors import PUBLISHER, REPOSITORY
from tests.integration.laptop import Laptop
from tests.leaks import Leaks

URL = "https://us-central1-python.pkg.dev/demo-project/python/simple/"
PIPFILE = '[[source]]\nname = "gar"\nurl = "{url}"\nverify_ssl = true\n[packages]\nhello = "*"\n'


@pytest.fixture
def tool(laptop: Laptop, tmp_path: Path, session_env: Mapping[str, str], request: pytest.FixtureRequest) -> Path:
    """Install a tool from PyPI, and return its program."""
    package: str
    program: str
    package, program = request.param
    tools = Laptop(laptop.home, laptop.project, {**session_env, "PATH": laptop.environment["PATH"]}, laptop.registry)
    tools.run("uv", "venv", "--python", sys.executable, tmp_path / "tool")
    tools.run("uv", "pip", "install", "--python", tmp_path / "tool/bin/python", package)
    return tmp_path / "tool/bin" / program


@pytest.fixture
def environment_of_setup(laptop: Laptop, leaks: Leaks) -> dict[str, str]:
    """Return the variables that `setup` exports, and write its netrc."""
    leaks.excuse("the environment of")
    token = laptop.registry.access_token(PUBLISHER)
    netrc = laptop.home / "job.netrc"
    netrc.write_text(f"machine us-central1-python.pkg.dev login oauth2accesstoken password {token}\n")
    repository = Repository.parse(REPOSITORY, endpoints=Endpoints())
    exported = variables(repository, token, only=False, index_name=None, in_uv=None, has_netrc=True, before={})
    return {**exported, "NETRC": str(netrc)}


@pytest.mark.parametrize("tool", [("pip-tools==7.6.2", "pip-compile")], indirect=True)
def test_pip_compile(laptop: Laptop, tool: Path, environment_of_setup: dict[str, str], leaks: Leaks) -> None:
    (laptop.project / "requirements.in").write_text("hello\n")
    written = laptop.project / "requirements.txt"
    compile_ = (str(tool), "--quiet", "requirements.in")
    laptop.run(*compile_, **environment_of_setup)
    assert f"\n--extra-index-url {URL}\n" in written.read_text()
    assert "ya29." not in written.read_text()

    leaks.expect(written)
    done = laptop.configure("pip", "token")
    assert "pip-compile copies this index with its secret into requirements.txt." in done.err
    laptop.run(*compile_)
    assert "ya29." in written.read_text()


@pytest.mark.parametrize("tool", [("pipenv==2026.10.3", "pipenv")], indirect=True)
def test_pipenv(laptop: Laptop, tool: Path, environment_of_setup: dict[str, str]) -> None:
    (laptop.project / "Pipfile").write_text(PIPFILE.format(url=URL))
    laptop.run(str(tool), "--python", sys.executable, "lock", **environment_of_setup, PIPENV_NOSPIN="1")
    lock = (laptop.project / "Pipfile.lock").read_text()
    assert '"version": "==1.0"' in lock
    assert "ya29." not in lock + (laptop.project / "Pipfile").read_text()
