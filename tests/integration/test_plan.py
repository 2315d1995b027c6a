"""`gar-publish plan` as a workflow uses it, and its metadata compared with those of real backends."""

import json
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from gar_publish.builder.builds import building
from gar_publish.context import new_context
from gar_publish.projects import find
from tests.git import commit
from tests.integration.frontdoors import PUBLISH, Doors
from tests.recording import RecordingConsole
from tests.unit.builder.indexes import no_index

REQUIRED = '["requests>=2 ; python_version > \'3\'", "Typing_Extensions[x]"]'
PROJECT = f"""
[project]
name = "My.Package"
version = "1.0-beta1"
description = "x"
dependencies = {REQUIRED}
[project.optional-dependencies]
more = ["rich", "requests>3"]
"""
POETRY = """
[tool.poetry]
name = "My.Package"
version = "1.0-beta1"
description = "x"
authors = []
packages = [{include = "my_package"}]
[tool.poetry.dependencies]
python = ">=3.11"
requests = "^2"
Typing_Extensions = [{version = "4", python = "<3.12"}, {version = "4.1", python = ">=3.12"}]
rich = {version = "*", optional = true}
unused = {version = "*", optional = true}
[tool.poetry.extras]
more = ["rich"]
"""
SETUP_CFG = """
[metadata]
name = My.Package
version = 1.0-beta1
[options]
packages = my_package
install_requires = requests>=2; typing-extensions
[options.extras_require]
more =
    rich
"""
DECLARED = {
    "hatchling": ("hatchling", "hatchling.build", PROJECT, ""),
    "flit": ("flit_core>=3.11", "flit_core.buildapi", f'{PROJECT}[tool.flit.module]\nname = "my_package"\n', ""),
    "pdm": ("pdm-backend", "pdm.backend", PROJECT, ""),
    "poetry, of its own": ("poetry-core>=2", "poetry.core.masonry.api", POETRY, ""),
    "poetry, in part": (
        "poetry-core>=2",
        "poetry.core.masonry.api",
        f'[project]\nname = "My.Package"\ndynamic = ["version", "dependencies"]\n{POETRY}',
        "",
    ),
    "setuptools": ("setuptools>=77", "setuptools.build_meta", PROJECT, ""),
    "setuptools, setup.cfg": ("setuptools>=77", "setuptools.build_meta", "", SETUP_CFG),
}


@pytest.mark.parametrize("case", DECLARED)
def test_reads_the_same_metadata_as_the_backend_writes(case: str, tmp_path: Path, clean_env: dict[str, str]) -> None:
    requires, backend, pyproject, setup_cfg = DECLARED[case]
    folder, out = tmp_path / "project", tmp_path / "out"
    (folder / "my_package").mkdir(parents=True)
    out.mkdir()
    (folder / "my_package/__init__.py").write_text('"""X."""\n')
    (folder / "pyproject.toml").write_text(
        f'[build-system]\nrequires = ["{requires}"]\nbuild-backend = "{backend}"\n{pyproject}'
    )
    if setup_cfg:
        (folder / "setup.cfg").write_text(setup_cfg)
    (project,) = find.find(["."], folder)
    context = new_context(clean_env, RecordingConsole(), workspace=folder)
    with building([project], formats={"wheel"}, out=out, context=context, private_index=no_index) as builds:
        (built,) = builds
    with zipfile.ZipFile(built.files[0]) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        written = HeaderParser().parsestr(archive.read(name).decode())
    required = [Requirement(line) for line in written.get_all("Requires-Dist", [])]
    always = frozenset(str(canonicalize_name(each.name)) for each in required if "extra" not in str(each.marker))
    assert (project.name, project.version) == (canonicalize_name(written["Name"]), str(Version(written["Version"])))
    assert project.requires == always
    assert project.optional == {canonicalize_name(each.name) for each in required} - always


def write(folder: Path, name: str, *required: str) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "pyproject.toml").write_text(
        f'[project]\nname = "{name}"\nversion = "1.0"\ndependencies = {list(required)}\n'
    )


@pytest.fixture
def checkout(doors: Doors) -> Doors:
    """A repository in which `app` requires `lib`."""
    write(doors.folder, "app", "lib")
    write(doors.folder, "lib")
    commit(doors.folder)
    return doors


def planned(doors: Doors, *arguments: str) -> list[str]:
    done = doors.command("plan", *arguments)
    assert (done.code, done.err) == (0, "")
    assert done.out.count("\n") == 1
    return [job["folder"] for job in json.loads(done.out)["include"]]


def test_folders_and_globs(checkout: Doors) -> None:
    assert planned(checkout, "*") == ["lib", "app"]
    assert planned(checkout, "--packages", "app", "--packages", "lib") == ["lib", "app"]
    assert planned(checkout, "app") == ["app"]


def test_changed_projects(checkout: Doors) -> None:
    assert planned(checkout, "*", "--changed-since", "HEAD") == []
    (checkout.folder / "app/x.py").touch()
    assert planned(checkout, "*", "--changed-since", "HEAD") == ["app"]
    assert planned(checkout, "*", "--changed-since", "") == ["lib", "app"]


def test_says_whose_dependencies_are_unknown(checkout: Doors) -> None:
    (checkout.folder / "app/pyproject.toml").write_text('[project]\nname = "app"\ndynamic = ["dependencies"]\n')
    commit(checkout.folder)
    (checkout.folder / "lib/x.py").touch()
    done = checkout.command("plan", "*", "--changed-since", "HEAD")
    assert [job["folder"] for job in json.loads(done.out)["include"]] == ["lib"]
    (warning,) = done.warnings
    assert warning.startswith("The dependencies of app are not known before the build")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("none",), "no-project"),
        (("*", "--changed-since", "none"), "unknown-ref"),
        (("*", "--changed-since=--output=x"), "unknown-ref"),
    ],
)
def test_an_error_prints_nothing_else(checkout: Doors, arguments: tuple[str, ...], said: str) -> None:
    done = checkout.command("plan", *arguments)
    assert (done.code, done.out) == (2, "")
    assert done.errors[0].endswith(f"#{said}")


def test_a_cycle(doors: Doors) -> None:
    write(doors.folder, "a", "b")
    write(doors.folder, "b", "a")
    done = doors.command("plan", "*")
    assert done.code == 2
    assert done.errors[0].endswith("#cycle")


def test_publish_refuses_changed_since_with_dist(doors: Doors) -> None:
    done = doors.command(*PUBLISH, "--changed-since", "HEAD", "--dist", "dist")
    assert done.code == 2
    assert done.errors[0].endswith("#dist-or-packages")
