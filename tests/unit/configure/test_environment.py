import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from gar_publish.configure import places
from gar_publish.configure.environment import variables
from gar_publish.configure.places import Machine
from gar_publish.errors import BadInput

URL = "https://us-central1-python.pkg.dev/demo-project/python/simple/"
MINE = "https://mine.example.com/simple/"


@pytest.fixture(autouse=True)
def weaker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name a pip.conf of all users in place of this machine's."""
    monkeypatch.setattr(places, "weaker_pip_files", lambda _: (tmp_path / "etc/pip.conf",))


def of(folder: Path, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    home = folder / "home"
    machine = Machine("Linux", environment or {}, home, lambda path: Path(path).exists())
    return dict(variables(URL, Path("/n/netrc"), folder / "a", machine))


def write(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def test_no_url_has_a_login(tmp_path: Path) -> None:
    assert of(tmp_path) == {"NETRC": "/n/netrc", "PIP_EXTRA_INDEX_URL": URL, "UV_INDEX": URL}


def test_other_indexes_of_pip_stay(tmp_path: Path) -> None:
    write(tmp_path, "etc/pip.conf", "[global]\nextra-index-url = https://all.example.com/\n")
    assert of(tmp_path)["PIP_EXTRA_INDEX_URL"] == f"https://all.example.com/ {URL}"
    write(tmp_path, "home/.config/pip/pip.conf", f"[global]\nextra_index_url =\n  {MINE}\n  https://user@{URL[8:]}\n")
    assert of(tmp_path)["PIP_EXTRA_INDEX_URL"] == f"{MINE} {URL}"
    write(tmp_path, "venv/pip.conf", "[global]\nextra-index-url = https://venv.example.com/\n")
    venv = {"VIRTUAL_ENV": str(tmp_path / "venv")}
    assert of(tmp_path, venv)["PIP_EXTRA_INDEX_URL"] == f"https://venv.example.com/ {URL}"
    assert of(tmp_path, {**venv, "PIP_EXTRA_INDEX_URL": MINE})["PIP_EXTRA_INDEX_URL"] == f"{MINE} {URL}"
    assert of(tmp_path, {**venv, "PIP_CONFIG_FILE": os.devnull})["PIP_EXTRA_INDEX_URL"] == URL


def test_an_index_that_pip_has_for_one_command_stays(tmp_path: Path) -> None:
    """The variable hides those of every section."""
    write(tmp_path, "etc/pip.conf", f"[global]\ntimeout = 9\n\n[install]\nextra-index-url = {MINE}\n")
    assert of(tmp_path)["PIP_EXTRA_INDEX_URL"] == f"{MINE} {URL}"


def test_other_indexes_of_uv_stay(tmp_path: Path) -> None:
    assert of(tmp_path, {"UV_INDEX": f"mine={MINE} gar={URL}"})["UV_INDEX"] == f"{URL} mine={MINE}"


@pytest.mark.parametrize(
    ("file", "keys"), [("pyproject.toml", "tool.uv."), ("a/pyproject.toml", "tool.uv."), ("uv.toml", "")]
)
def test_an_index_that_uv_knows_is_not_given_again(file: str, keys: str, tmp_path: Path) -> None:
    write(tmp_path, file, f'[[{keys}index]]\nname = "x"\nurl = "{URL}"\nexplicit = true\n')
    assert "UV_INDEX" not in of(tmp_path)


@pytest.mark.parametrize("root", ["a", "."], ids=["in the root", "in another member"])
def test_an_index_of_another_project_of_a_workspace_is_not_given_again(root: str, tmp_path: Path) -> None:
    write(tmp_path, f"{root}/pyproject.toml", '[tool.uv.workspace]\nmembers = ["a", "packages/*"]\n')
    assert "UV_INDEX" in of(tmp_path)
    index = f'[[tool.uv.index]]\nname = "x"\nurl = "{URL}"\nexplicit = true\n'
    write(tmp_path, f"{root}/packages/one/pyproject.toml", index)
    assert "UV_INDEX" not in of(tmp_path)


def test_a_file_that_no_tool_could_read_is_named(tmp_path: Path) -> None:
    write(tmp_path, "pyproject.toml", "[")
    with pytest.raises(BadInput, match=r"pyproject\.toml cannot be parsed"):
        of(tmp_path)


@pytest.mark.parametrize("text", ["tool = 1", "[tool]\nuv = 1", "[tool.uv]\nindex = 'x'", "[tool.uv]\nindex = ['x']"])
def test_settings_of_another_shape_name_no_index(text: str, tmp_path: Path) -> None:
    """Those of a test's fixture, for example: the setup action reads every one in the workspace."""
    write(tmp_path, "pyproject.toml", text)
    assert of(tmp_path)["UV_INDEX"] == URL
