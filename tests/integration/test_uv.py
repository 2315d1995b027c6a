"""`gar-publish configure` for old releases of uv, for two identities on one host, and beside `exclude-newer`."""

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from gar_emulator import World
from tests.conftest import ROOT
from tests.integration.frontdoors import PUBLISHER, READER, Doors
from tests.integration.laptop import NAME, Laptop, ToolFailure
from tests.leaks import Leaks
from tests.stored import store
from tests.wheels import make_wheel

OTHER = "us-central1/demo-project/other"
OTHER_RESOURCE = "projects/demo-project/locations/us-central1/repositories/other"
OTHER_NAME = "gar-demo-project-other"
OTHER_URL = "https://us-central1-python.pkg.dev/demo-project/other/simple/"


@pytest.fixture
def world() -> World:
    """Return the default world with a second repository, and with a reader of that repository alone."""
    default = (ROOT / "emulator/src/gar_emulator/default.toml").read_text(encoding="utf-8")
    python = "projects/demo-project/locations/us-central1/repositories/python"
    before, reader, after = default.partition('role = "roles/artifactregistry.reader"\n')
    other = '\n[[repositories]]\nproject = "demo-project"\nlocation = "us-central1"\nname = "other"\n'
    return World.parse(before + reader + after.replace(python, OTHER_RESOURCE, 1) + other, "two repositories")


def _require(laptop: Laptop, **indexes: str) -> Path:
    """Make the project require packages, each from one of its indexes."""
    pyproject = laptop.project / "pyproject.toml"
    sources = "".join(f'{package} = {{ index = "{name}" }}\n' for package, name in indexes.items())
    text = pyproject.read_text().replace('dependencies = ["hello"]', f"dependencies = {list(indexes)}")
    pyproject.write_text(f"{text}\n[tool.uv.sources]\n{sources}")
    return pyproject


@pytest.mark.thorough
@pytest.mark.parametrize("version", ["0.4.30", "0.7.22"])
def test_an_old_uv_has_the_keyring_and_the_netrc_but_not_the_store(
    laptop: Laptop, version: str, tmp_path: Path, session_env: Mapping[str, str]
) -> None:
    tools = Laptop(laptop.home, laptop.project, {**session_env, "PATH": laptop.environment["PATH"]}, laptop.registry)
    tools.run("uv", "pip", "install", "--python", sys.executable, "--target", tmp_path / "old", f"uv=={version}")
    uv = str(tmp_path / "old/bin/uv")
    public = {"UV_DEFAULT_INDEX": laptop.environment["PIP_INDEX_URL"]}

    done = laptop.configure("uv", "token")
    assert "uv 0.8.15 or newer has this login." in done.err
    _require(laptop, hello=NAME)
    with pytest.raises(ToolFailure, match=r"not found|Missing credentials"):
        laptop.run(uv, "sync", **public)
    laptop.configure("netrc", "token")
    laptop.run(uv, "sync", **public)
    (laptop.home / ".netrc").unlink()
    (laptop.project / "uv.lock").unlink()
    laptop.configure("uv", "keyring")
    laptop.run(uv, "sync", "--reinstall", **public)
    assert laptop.readers() == {f"serviceAccount:{PUBLISHER}"}


def test_two_identities_for_one_host(laptop: Laptop, tmp_path: Path, leaks: Leaks) -> None:
    """Without the variables, uv sends either of the stored logins for a file (403)."""
    leaks.excuse("the environment of")
    (repository,) = (each for each in laptop.registry.cloud.repositories if each.resource.endswith("/other"))
    store(laptop.registry, repository, make_wheel(tmp_path / "dist", "there"))
    (tmp_path / "token").write_text(laptop.registry.access_token(READER))
    doors = Doors(laptop.project, laptop.environment)
    done = doors.command("configure", "uv", "--repository", OTHER, "--token", "--access-token", "../token")
    assert "one stored login" not in done.err
    (tmp_path / "token").write_text(laptop.registry.access_token(PUBLISHER))
    done = laptop.configure("uv", "token")
    assert f"with one stored login: {OTHER_URL}, too." in done.err
    _require(laptop, hello=NAME, there=OTHER_NAME)
    logins = {NAME: PUBLISHER, OTHER_NAME: READER}
    variables = {f"UV_INDEX_{name.upper().replace('-', '_')}": account for name, account in logins.items()}
    given = {f"{name}_PASSWORD": laptop.registry.access_token(account) for name, account in variables.items()}
    laptop.run("uv", "sync", **given, **{f"{name}_USERNAME": "oauth2accesstoken" for name in variables})
    assert laptop.readers() == {f"serviceAccount:{account}" for account in logins.values()}


def test_beside_exclude_newer(laptop: Laptop) -> None:
    pyproject = laptop.project / "pyproject.toml"
    pyproject.write_text(f'{pyproject.read_text()}\n[tool.uv]\nexclude-newer = "2026-01-01T00:00:00Z"\n')
    done = laptop.configure("uv", "keyring")
    assert "pyproject.toml sets exclude-newer, so uv ignores files without an upload time" in done.err
    _require(laptop, hello=NAME)
    with pytest.raises(ToolFailure, match="missing an upload date"):
        laptop.run("uv", "lock")
    exempt = "[tool.uv]\nexclude-newer-package = { hello = false }\n"
    pyproject.write_text(pyproject.read_text().replace("[tool.uv]\n", exempt))
    laptop.run("uv", "lock")
