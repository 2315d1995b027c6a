"""`gar-publish configure` and `index-url`: the real tools install and upload with what was written."""

import os
import re
import shutil
import stat
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from gar_publish.cli.configure_options import TOOL_NAMES
from tests.blocks import blocks
from tests.conftest import ROOT
from tests.integration.frontdoors import PUBLISHER, REPOSITORY, Doors
from tests.integration.laptop import BIN, NAME, POETRY, PROJECT, Laptop, ToolFailure
from tests.leaks import Leaks
from tests.wheels import make_wheel

HOST = "us-central1-python.pkg.dev"
UPLOAD_URL = f"https://{HOST}/demo-project/python/"
KINDS = ("token", "keyring", "json-key")


def _pip(laptop: Laptop, package: str = "hello") -> None:
    laptop.run("pip", "install", "--no-cache-dir", "--target", laptop.project / ".venv", package)


def _docker(laptop: Laptop, package: str = "hello") -> None:
    """In a build, there are no user settings."""
    (file,) = (laptop.home / ".config/gar-publish").iterdir()
    of_a_build = {"PIP_CONFIG_FILE": str(file), "XDG_CONFIG_HOME": os.devnull}
    laptop.run("pip", "install", "--no-cache-dir", "--target", laptop.project / ".venv", package, **of_a_build)


def _uv(laptop: Laptop, _: str = "") -> None:
    pyproject = laptop.project / "pyproject.toml"
    if "explicit" in pyproject.read_text():
        pyproject.write_text(pyproject.read_text() + f'\n[tool.uv.sources]\nhello = {{ index = "{NAME}" }}\n')
    laptop.run("uv", "sync")
    lock = (laptop.project / "uv.lock").read_text()
    assert f'url = "{UPLOAD_URL}hello/' in lock


def _poetry(laptop: Laptop, _: str = "") -> None:
    laptop.run("poetry", "install", "--no-interaction", "--no-ansi")


def _pdm(laptop: Laptop, _: str = "") -> None:
    laptop.run("pdm", "install", "--no-self")


INSTALL: Mapping[str, Callable[..., None]] = {
    "pip": _pip,
    "docker": _docker,
    "uv": _uv,
    "poetry": _poetry,
    "pdm": _pdm,
}


@pytest.mark.parametrize("kind", ["token", "keyring"])
def test_uv_adds_a_package_with_the_command_that_is_shown(laptop: Laptop, kind: str) -> None:
    pyproject = laptop.project / "pyproject.toml"
    pyproject.write_text(PROJECT.replace('"hello"', ""))
    shown = laptop.configure("uv", kind).err
    command = next(line for line in shown.splitlines() if line.startswith("uv add "))
    laptop.run(*command.replace("PACKAGE", "hello").split())
    tool = tomllib.loads(pyproject.read_text())["tool"]["uv"]
    assert tool["sources"] == {"hello": {"index": NAME}}
    assert [each["explicit"] for each in tool["index"]] == [True]
    assert f'url = "{UPLOAD_URL}hello/' in (laptop.project / "uv.lock").read_text()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tool", INSTALL)
def test_install(laptop: Laptop, tool: str, kind: str) -> None:
    laptop.configure(tool, kind)
    written = laptop.files()
    project = written.pop(laptop.project / "pyproject.toml")
    assert "ya29." not in project
    assert "_json_key" not in project
    secret = {file for file, text in written.items() if "ya29." in text or "_json_key_base64" in text}
    assert bool(secret) == (kind != "keyring")
    assert {stat.S_IMODE(file.stat().st_mode) for file in secret} <= {0o600}

    laptop.configure(tool, kind)
    assert laptop.files() == {**written, laptop.project / "pyproject.toml": project}

    INSTALL[tool](laptop)
    assert list((laptop.project / ".venv").rglob("hello.py"))
    assert laptop.readers() == {f"serviceAccount:{PUBLISHER}"}


@pytest.mark.parametrize("tool", INSTALL)
def test_another_kind_replaces_the_one_before(laptop: Laptop, tool: str) -> None:
    """Two users of one index would confuse uv."""
    laptop.configure(tool, "json-key")
    laptop.configure(tool, "token")
    assert not any("_json_key_base64" in text for text in laptop.files().values())
    warned = "has a login for" in laptop.configure(tool, "keyring").err
    left = [file for file, text in laptop.files().items() if "ya29." in text]
    assert left == ([laptop.home / ".netrc"] if warned else [])
    assert warned == (tool == "pip")  # other tools may use that login
    laptop.configure(tool, "json-key")
    INSTALL[tool](laptop)


@pytest.mark.parametrize("tool", INSTALL)
def test_the_only_index(laptop: Laptop, tool: str, connected: set[str]) -> None:
    """Packages that it lacks are not looked up anywhere else, neither on PyPI nor in pip's former indexes."""
    before = laptop.home / ".config/pip/pip.conf"
    before.parent.mkdir(parents=True)
    before.write_text("[install]\nextra-index-url = https://index.example.com/simple/\n")
    laptop.configure(tool, "json-key", "--only")
    named = {"PIP_INDEX_URL", "PDM_PYPI_URL"}
    alone = replace(
        laptop, environment={name: value for name, value in laptop.environment.items() if name not in named}
    )
    INSTALL[tool](alone)
    assert laptop.readers() == {f"serviceAccount:{PUBLISHER}"}

    shutil.rmtree(laptop.project / ".venv")
    for lock in laptop.project.glob("*.lock"):
        lock.unlink()
    pyproject = laptop.project / "pyproject.toml"
    unbound = pyproject.read_text().replace(f'{{ source = "{NAME}" }}', '"*"')
    pyproject.write_text(unbound.replace("hello", "elsewhere"))
    with pytest.raises(ToolFailure, match="elsewhere"):
        INSTALL[tool](alone, "elsewhere")
    assert connected == {HOST}


@pytest.mark.parametrize(
    ("tool", "install"),
    [
        ("uv", ("uv", "pip", "install", "--target", ".venv", "hello")),
        ("pdm", ("pdm", "install", "--no-self")),
    ],
)
@pytest.mark.parametrize("kind", ["keyring", "fresh token"])
def test_user_settings(laptop: Laptop, tool: str, install: Sequence[str], kind: str) -> None:
    laptop.configure(tool, kind, "--user")
    assert (laptop.project / "pyproject.toml").read_text() == PROJECT + POETRY
    laptop.run(*install, UV_DEFAULT_INDEX=laptop.environment["PIP_INDEX_URL"])
    assert list((laptop.project / ".venv").rglob("hello.py"))


@pytest.mark.parametrize("tool", TOOL_NAMES)
def test_a_dry_run_shows_all_but_secrets_and_changes_nothing(laptop: Laptop, tool: str) -> None:
    before = laptop.files()
    done = laptop.configure(tool, "json-key", "--dry-run")
    assert laptop.files() == before
    assert "***" in done.out or "uv auth login" in done.out
    assert "ewog" not in done.out + done.err  # how the base64 of a key begins
    assert HOST in done.out
    laptop.configure(tool, "json-key")
    again = laptop.configure(tool, "json-key", "--dry-run")
    assert re.sub(r"uv auth .*\n", "", again.out) == ""


@pytest.mark.parametrize("kind", ["fresh token", "keyring", "json-key"])
def test_twine_uploads(laptop: Laptop, kind: str, tmp_path: Path) -> None:
    done = laptop.configure("twine", kind)
    assert f"twine upload --repository {NAME} dist/*" in done.err
    wheel = make_wheel(tmp_path / "dist", "hello", "2.0")
    laptop.run("twine", "upload", "--non-interactive", "--disable-progress-bar", "--repository", NAME, wheel)
    assert [file.filename for file in laptop.registry.files()][-1] == wheel.name
    assert stat.S_IMODE((laptop.home / ".pypirc").stat().st_mode) == 0o600


def test_a_project_of_uv_with_a_uv_toml(laptop: Laptop) -> None:
    (laptop.project / "uv.toml").write_text("no-cache = true\n")
    laptop.configure("uv", "keyring")
    _uv(laptop)
    assert laptop.readers() == {f"serviceAccount:{PUBLISHER}"}


@pytest.mark.parametrize(
    ("tool", "kind", "command"),
    [
        ("uv", "keyring", ("uv", "publish", "--index", NAME)),
        ("poetry", "token", ("poetry", "publish", "--no-interaction", "--repository", NAME)),
        ("pdm", "json-key", ("pdm", "publish", "--no-build", "--repository", NAME)),
    ],
)
def test_the_tool_itself_can_publish(laptop: Laptop, tool: str, kind: str, command: Sequence[str]) -> None:
    laptop.configure(tool, kind)
    pyproject = laptop.project / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace("package-mode = false", "package-mode = true"))
    wheel = make_wheel(laptop.project / "dist", "consumer", "1")
    laptop.run(*command)
    assert wheel.name in [file.filename for file in laptop.registry.files()]


@pytest.mark.parametrize("client", [("pip", "install"), ("uv", "pip", "install")])
@pytest.mark.parametrize("kind", ["--token", "--keyring", "--json-key"])
def test_index_url(laptop: Laptop, client: Sequence[str], kind: str, leaks: Leaks) -> None:
    key = [str(laptop.registry.key_file(PUBLISHER))] if kind == "--json-key" else []
    done = Doors(laptop.project, laptop.environment).command("index-url", "--repository", REPOSITORY, kind, *key)
    assert done.code == 0, done.err
    leaks.expect(laptop.project / "requirements.txt")
    (laptop.project / "requirements.txt").write_text(f"{done.out}hello\n")
    more = {"UV_KEYRING_PROVIDER": "subprocess", "UV_DEFAULT_INDEX": laptop.environment["PIP_INDEX_URL"]}
    laptop.run(*client, "--target", ".venv", "-r", "requirements.txt", **more)
    assert (laptop.project / ".venv/hello.py").is_file()


def document(command: str) -> str:
    """Return the block of docs/install.md with this command, for a project and a package that exist."""
    (found,) = (block.text for block in blocks(ROOT / "docs/install.md") if command in block.text)
    return found.replace("my-project", "demo-project").replace("my-package", "--target=.venv hello")


def test_a_key_reaches_pip_but_not_its_arguments(laptop: Laptop, tmp_path: Path) -> None:
    (laptop.project / "key.json").symlink_to(laptop.registry.key_file(PUBLISHER))
    arguments = tmp_path / "arguments"
    pip = tmp_path / "bin/pip"
    pip.parent.mkdir()
    pip.write_text(f'#!/bin/sh\necho "$*" >>{arguments}\nexec {BIN / "pip"} "$@"\n')
    pip.chmod(0o755)
    command = document("index-url --repository us-central1/my-project/python --json-key")
    laptop.run("/bin/sh", "-ec", command, PATH=f"{pip.parent}:{laptop.environment['PATH']}")
    assert (laptop.project / ".venv/hello.py").is_file()
    assert arguments.read_text() == "install -r /dev/stdin --target=.venv hello\n"


def test_the_settings_of_one_virtual_environment(laptop: Laptop, leaks: Leaks) -> None:
    leaks.expect(laptop.project / ".venv/pip.conf")
    laptop.run(sys.executable, "-m", "venv", ".venv")
    laptop.run("/bin/sh", "-ec", document("PIP_CONFIG_FILE"))
    laptop.run(str(laptop.project / ".venv/bin/pip"), "install", "hello")
    assert list((laptop.project / ".venv").rglob("hello.py"))
    assert laptop.files().keys() == {laptop.project / "pyproject.toml", laptop.home / ".netrc"}


def test_a_credential_option_without_a_token(laptop: Laptop) -> None:
    doors = Doors(laptop.project, laptop.environment)
    done = doors.command("configure", "pip", "--repository", REPOSITORY, "--access-token", "../token")
    assert done.code == 2
    assert "`--access-token` is for `--token`, but the login is `--keyring`." in done.errors[0]
    assert not (laptop.home / ".config").exists()


def test_two_kinds_at_once(laptop: Laptop) -> None:
    done = Doors(laptop.project, laptop.environment).command("configure", "pip", "--keyring", "--json-key", "key.json")
    assert done.code == 2
    assert "not allowed with argument --keyring" in done.err


@pytest.mark.parametrize(
    ("file", "tool", "text"),
    [
        (".config/pip/pip.conf", "pip", "index-url = https://me:made-up-secret@index.example.com/simple/\n"),
        (".pypirc", "twine", "password = made-up-secret\n[pypi]\n"),
        (".config/pypoetry/auth.toml", "poetry", '[http-basic.other]\npassword = "made-up-secret\n'),
    ],
)
def test_shows_no_secret_of_malformed_settings(laptop: Laptop, file: str, tool: str, text: str) -> None:
    (laptop.home / file).parent.mkdir(parents=True, exist_ok=True)
    (laptop.home / file).write_text(text)
    done = Doors(laptop.project, laptop.environment).command("configure", tool, "--repository", REPOSITORY)
    assert done.code == 2
    assert "cannot be parsed" in done.errors[0]
    assert "made-up-secret" not in done.out + done.err
    assert (laptop.home / file).read_text() == text
