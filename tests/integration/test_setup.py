"""setup/action.yml as a process: with its variables, real pip, uv and Poetry install, and its token cannot upload."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gar_emulator import Emulator
from tests.integration.frontdoors import PROVIDER, PUBLISHER, READER, REPOSITORY, Doors, Step
from tests.leaks import Leaks
from tests.runner import Masker
from tests.wheels import make_wheel

BIN = Path(sys.executable).parent
FEDERATION = {"repository": REPOSITORY, "workload-identity-provider": PROVIDER}


@pytest.fixture(autouse=True)
def _exported_for_everybody(leaks: Leaks) -> None:
    leaks.excuse("the environment of")  # the variables of a job are meant for every later step


@pytest.fixture
def wheel(doors: Doors, emulator: Emulator) -> Path:
    """Publish a file, and return it."""
    path = make_wheel(doors.folder / "dist", "greetings")
    given = {"access-token": emulator.access_token(PUBLISHER), "dist": "dist/*", "index-token": "none"}
    assert doors.action({"repository": REPOSITORY, **given}).code == 0
    return path


def _set_up(doors: Doors, inputs: Mapping[str, str]) -> Step:
    step = doors.setup(inputs)
    assert step.code == 0, step.log
    return step


def _run(doors: Doors, step: Step, *command: str | Path, **more: str) -> str:
    """Run a later step of the job."""
    environment = {name: value for name, value in doors.environment.items() if not name.startswith("ACTIONS_")}
    done = subprocess.run(
        [BIN / command[0], *command[1:]],
        cwd=doors.folder,
        env={**environment, **step.exported, **more},
        capture_output=True,
        text=True,
        check=False,
    )
    return f"{done.returncode}: {done.stdout}{done.stderr}"


@pytest.mark.usefixtures("wheel")
def test_pip_and_uv_install_without_an_option(doors: Doors) -> None:
    step = _set_up(doors, FEDERATION)
    assert _run(doors, step, "python", "-m", "pip", "install", "--target", "by-pip", "greetings").startswith("0")
    assert _run(doors, step, "uv", "pip", "install", "--target", "by-uv", "greetings").startswith("0")
    assert {path.parent.name for path in doors.folder.glob("by-*/greetings.py")} == {"by-pip", "by-uv"}


@pytest.mark.usefixtures("wheel")
def test_only_means_no_other_index(doors: Doors) -> None:
    step = _set_up(doors, {**FEDERATION, "only": "true", "service-account": PUBLISHER})
    assert "::warning" not in step.log
    for install in (["python", "-m", "pip", "install"], ["uv", "pip", "install"]):
        assert _run(doors, step, *install, "--target", "found", "greetings").startswith("0")
        assert not _run(doors, step, *install, "--target", "found", "flit-core").startswith("0")


@pytest.mark.usefixtures("wheel")
def test_only_removes_the_extra_indexes_of_the_job(doors: Doors) -> None:
    extra = dict.fromkeys(("PIP_EXTRA_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL"), "http://127.0.0.1:1/simple/")
    step = doors.setup({**FEDERATION, "only": "true"}, extra)
    assert {name: step.exported[name] for name in extra} == dict.fromkeys(extra, "")
    for install in (["python", "-m", "pip", "install"], ["uv", "pip", "install"]):
        output = _run(doors, step, *install, "--target", "found", "greetings")
        assert output.startswith("0"), output


@pytest.mark.usefixtures("wheel")
def test_requirements_expand_the_token(doors: Doors) -> None:
    step = _set_up(doors, FEDERATION)
    index = step.outputs["index-url"].replace("://", "://oauth2accesstoken:${GAR_TOKEN}@")
    (doors.folder / "requirements.txt").write_text(f"--extra-index-url {index}\ngreetings==1.0\n")
    bare = Step(0, "", {}, "", {"GAR_TOKEN": step.exported["GAR_TOKEN"]})
    output = _run(doors, bare, "python", "-m", "pip", "install", "--target", "found", "-r", "requirements.txt")
    assert output.startswith("0"), output


@pytest.mark.usefixtures("wheel")
@pytest.mark.parametrize("name", ["", "private"], ids=["found", "given"])
def test_a_uv_project_syncs_from_its_explicit_index(name: str, doors: Doors, emulator: Emulator) -> None:
    """A name that the project does not list still comes from elsewhere alone."""
    (doors.folder / "pyproject.toml").write_text(
        f"""[project]
name = "service"
version = "1"
requires-python = ">=3.11"
dependencies = ["greetings"]
[tool.uv.sources]
greetings = {{ index = "private" }}
[[tool.uv.index]]
name = "private"
url = "{emulator.address("us-central1-python.pkg.dev")}/demo-project/python/simple/"
explicit = true
"""
    )
    step = _set_up(doors, {**FEDERATION, "index-name": name})
    for command in (["lock"], ["sync", "--locked"]):
        output = _run(doors, step, "uv", *command, "--python", sys.executable)
        assert output.startswith("0"), output
    pyproject = doors.folder / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace("greetings = { index", "other = { index"))
    output = _run(doors, step, "uv", "lock", "--python", sys.executable, UV_DEFAULT_INDEX="file:///")
    assert "greetings was not found" in output


@pytest.mark.usefixtures("wheel")
def test_a_poetry_project_installs_from_its_explicit_source(doors: Doors, emulator: Emulator, tmp_path: Path) -> None:
    step = _set_up(doors, FEDERATION)
    (doors.folder / "pyproject.toml").write_text(
        f"""[project]
name = "service"
version = "1"
requires-python = ">=3.11"
[tool.poetry]
package-mode = false
[tool.poetry.dependencies]
greetings = {{ version = "1.0", source = "gar-demo-project-python" }}
[[tool.poetry.source]]
name = "gar-demo-project-python"
url = "{step.outputs["index-url"]}"
priority = "explicit"
"""
    )
    own = {
        "POETRY_CONFIG_DIR": str(tmp_path / "settings"),
        "POETRY_CACHE_DIR": str(tmp_path / "cache"),
        "POETRY_VIRTUALENVS_IN_PROJECT": "true",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }
    expired = {"POETRY_HTTP_BASIC_GAR_DEMO_PROJECT_PYTHON_PASSWORD": emulator.access_token(READER, lifetime=-1)}
    output = _run(doors, step, "poetry", "install", "--no-interaction", **own, **expired)
    assert output.startswith("1"), output
    assert not list(doors.folder.glob(".venv/lib/*/site-packages/greetings.py"))
    output = _run(doors, step, "poetry", "install", "--no-interaction", **own)
    assert output.startswith("0"), output
    assert list(doors.folder.glob(".venv/lib/*/site-packages/greetings.py"))


@pytest.mark.usefixtures("wheel")
@pytest.mark.parametrize("only", ["true", "false"])
def test_a_pdm_project_installs(only: str, doors: Doors) -> None:
    """From the only index, or from a source with the variable in its URL."""
    step = _set_up(doors, {**FEDERATION, "only": only})
    url = step.outputs["index-url"].replace("://", "://oauth2accesstoken:${GAR_TOKEN}@")
    source = f'[[tool.pdm.source]]\nname = "gar"\nurl = "{url}"\n' if only == "false" else ""
    project = '[project]\nname = "service"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["greetings"]\n'
    (doors.folder / "pyproject.toml").write_text(project + source)
    output = _run(doors, step, "pdm", "install", "--no-self", PDM_CHECK_UPDATE="false", PYTHONWARNINGS="")
    assert output.startswith("0"), output
    assert list(doors.folder.glob(".venv/lib/*/site-packages/greetings.py"))
    assert step.exported["GAR_TOKEN"] not in (doors.folder / "pdm.lock").read_text()


@pytest.mark.usefixtures("wheel")
def test_a_later_build_reads_the_index_with_the_netrc(doors: Doors, tmp_path: Path) -> None:
    """On GitHub's runners, the variables have plain URLs, and only the netrc has the token."""
    step = _set_up(doors, FEDERATION)
    url, netrc = step.outputs["index-url"], tmp_path / "netrc"
    login = f"login oauth2accesstoken password {step.outputs['token']}"
    netrc.write_text(f"machine {urlsplit(url).hostname} {login}\n")
    (doors.folder / "pyproject.toml").write_text(
        """[build-system]
requires = ["flit_core", "greetings"]
build-backend = "flit_core.buildapi"
[project]
name = "service"
version = "1"
description = "A test."
"""
    )
    (doors.folder / "service.py").write_text('"""A test."""\n')
    done = doors.command("build", ".", variables={"UV_INDEX": url, "NETRC": str(netrc)})
    assert done.code == 0, done.err
    netrc.unlink()
    assert "401 Unauthorized" in doors.command("build", ".", variables={"UV_INDEX": url, "NETRC": str(netrc)}).err


def test_its_token_cannot_upload(doors: Doors, emulator: Emulator) -> None:
    key = json.dumps(emulator.key(PUBLISHER))
    for inputs in (FEDERATION, {"repository": REPOSITORY, "credentials-json": key}):
        step = _set_up(doors, inputs)
        make_wheel(doors.folder / "dist", "greetings")
        given = {"access-token": step.exported["GAR_TOKEN"], "dist": "dist/*"}
        refused = doors.action({"repository": REPOSITORY, **given})
        assert refused.code == 6, refused.log
    assert emulator.files() == []


def test_masks_come_first_and_one_line_lists_the_variables(doors: Doors) -> None:
    step = _set_up(doors, FEDERATION)
    token = step.exported["GAR_TOKEN"]
    assert step.log.partition(token)[0].endswith("\n::add-mask::")
    assert "::warning::The token for installs expires at" in step.log
    line = next(line for line in step.log.splitlines() if line.startswith("Exported for this job, until 20"))
    assert all(name in line for name in step.exported)
    masker = Masker(step.log)
    changed = {name for name, value in step.outputs.items() if masker.mask(value) != value}
    assert changed == {"extra-index-url", "token"}
    assert step.outputs.keys() == {"extra-index-url", "index-url", "token", "token-expires-at"}


def test_the_index_url_of_another_job_names_the_repository(doors: Doors) -> None:
    index = _set_up(doors, FEDERATION).outputs["index-url"]
    assert _set_up(doors, {**FEDERATION, "repository": index}).outputs["index-url"] == index


def test_a_given_token_is_used_with_a_warning(doors: Doors, emulator: Emulator) -> None:
    token = emulator.access_token(READER)
    step = _set_up(doors, {"repository": REPOSITORY, "access-token": token})
    assert step.exported["GAR_TOKEN"] == token
    assert "::warning::This credential cannot be made read-only" in step.log


def test_outside_a_job_it_fails(doors: Doors) -> None:
    step = doors.setup(FEDERATION, {"GITHUB_ENV": ""})
    assert step.code == 2
    assert step.errors[0].startswith(
        "The environment variable GITHUB_ENV is not set to a file, so the setup action cannot configure anything."
    )


@pytest.mark.parametrize(
    ("inputs", "output"),
    [({"only": "yes"}, "`only` is 'yes'"), ({"index-name": "a b"}, "`index-name` is 'a b'")],
)
def test_a_wrong_input_exports_nothing(inputs: Mapping[str, str], output: str, doors: Doors) -> None:
    step = doors.setup({**FEDERATION, **inputs})
    assert (step.code, step.exported) == (2, {})
    assert step.errors[0].startswith(output)


def test_plain_http_exports_nothing_and_sends_no_token(doors: Doors) -> None:
    step = doors.setup({"repository": "http://registry.example.com/simple/", "access-token": "ya29.given-token"})
    assert (step.code, step.exported) == (2, {})
    assert step.errors[0].startswith("http://registry.example.com is not encrypted")


def test_an_identity_that_may_not_read_exports_nothing(doors: Doors, emulator: Emulator) -> None:
    token = emulator.access_token("user:stranger@example.com")
    step = doors.setup({"repository": REPOSITORY, "access-token": token})
    assert (step.code, step.exported) == (6, {})
    assert "with HTTP 403" in step.errors[0]
