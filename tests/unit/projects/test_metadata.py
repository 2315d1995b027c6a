"""Reading metadata from the files of a project."""

import tomllib
from pathlib import Path

import pytest

from gar_publish.projects.metadata import Metadata, declared, read

BUILD = '[build-system]\nrequires = ["{}"]\nbuild-backend = "{}"\n'
POETRY = BUILD.format("poetry-core>=2", "poetry.core.masonry.api")
SETUPTOOLS = BUILD.format("setuptools>=77", "setuptools.build_meta")
CFG = """\
[metadata]
name = My.Package
version = 1.0-rc1

[options]
install-requires =
    Other_Package>=1 ; python_version > "3"
    third[extra] @ https://example.com/third.whl

[options.extras_require]
test = pytest; Other.Package
"""


def said(pyproject: str, setup_cfg: str = "", *, setup_py: bool = False) -> Metadata:
    return declared(tomllib.loads(pyproject), setup_cfg, setup_py=setup_py)


def test_project_table() -> None:
    assert said(
        """
        [build-system]
        requires = ["hatchling>=1.27", "Hatch_VCS"]
        [project]
        name = "My.Package"
        version = "1.0-alpha.1"
        dependencies = ["Other_Package>=1; python_version > '3'", "third[extra] @ https://example.com/third.whl"]
        [project.optional-dependencies]
        test = ["pytest", "other.package", "my-package[third]"]
        third = ["Fourth"]
        """
    ) == Metadata(
        "my-package",
        "1.0a1",
        frozenset({"other-package", "third"}),
        frozenset({"pytest", "my-package", "fourth"}),
        frozenset({"hatchling", "hatch-vcs"}),
    )


def test_dynamic_fields_are_unknown() -> None:
    found = said('[project]\nname = "x"\ndynamic = ["version", "dependencies"]')
    assert found == Metadata("x")
    assert said('[project]\nname = "x"\nversion = "1"') == Metadata("x", "1", frozenset())


@pytest.mark.parametrize(
    "pyproject",
    [
        "",
        "project = 3",
        "[project]\nname = 3\nversion = 4\ndependencies = 5\noptional-dependencies = 6\ndynamic = 7",
        '[project]\ndependencies = [3, "=no=", "-"]\nversion = "v.x"\noptional-dependencies.x = "y"',
        f'[project]\nversion = "{"1" * 5000}"',
        "[build-system]\nrequires = 3\nbuild-backend = [4]",
        f"{POETRY}[tool]\npoetry = 3",
        f"{POETRY}[tool.poetry]\ndependencies = 3\nextras = 4",
        f"{POETRY}[tool.poetry]\nname = 3\nextras.x = 4",
    ],
)
def test_ignores_malformed_values(pyproject: str) -> None:
    found = said(pyproject)
    assert (found.name, found.version) == (None, None)
    assert not found.requires
    assert not found.optional


def test_what_a_hook_of_hatchling_may_add() -> None:
    found = said("""
        [project]
        name = "app"
        dynamic = ["dependencies"]
        [tool.hatch.metadata.hooks]
        other = 1
        [tool.hatch.metadata.hooks.uv-dynamic-versioning]
        dependencies = ["Lib[all]=={{ version }}", "core>=1", "-", 1]
        [tool.hatch.metadata.hooks.custom]
        dependencies = 1
    """)
    assert found.requires is None
    assert found.optional == {"lib", "core"}


def test_poetry() -> None:
    assert said(
        f"""{POETRY}
        [tool.poetry]
        name = "My_Package"
        version = "1.0.0-beta.2"
        [tool.poetry.dependencies]
        python = "^3.11"
        Other_Package = "^1"
        beside = {{path = "../beside", develop = true}}
        many = [{{version = "1", python = "<3.12"}}, {{version = "2", python = ">=3.12"}}]
        psycopg = {{version = "3", optional = true}}
        unused = {{version = "1", optional = true}}
        [tool.poetry.extras]
        Postgres = ["psycopg"]
        [tool.poetry.group.dev.dependencies]
        pytest = "*"
        """
    ) == Metadata(
        "my-package",
        "1.0.0b2",
        frozenset({"other-package", "beside", "many"}),
        frozenset({"psycopg"}),
        frozenset({"poetry-core"}),
    )


def test_poetry_completes_dynamic_fields() -> None:
    tool = '[tool.poetry]\nname = "old"\nversion = "2"\n[tool.poetry.dependencies]\nother = "*"'
    project = '[project]\nname = "x"\nversion = "1"\n'
    dynamic = '[project]\nname = "x"\ndynamic = ["version", "dependencies"]\n'
    assert said(POETRY + project + tool)[:3] == ("x", "1", frozenset())
    assert said(POETRY + dynamic + tool)[:3] == ("x", "2", frozenset({"other"}))


def test_the_version_is_unknown_with_a_poetry_plugin() -> None:
    plugin = BUILD.format("poetry-dynamic-versioning", "poetry_dynamic_versioning.backend")
    tool = '[tool.poetry]\nname = "x"\nversion = "0.0.0"'
    assert said(plugin + tool)[:3] == ("x", None, frozenset())
    assert said(SETUPTOOLS + tool)[:3] == (None, None, None)
    assert said(plugin + '[project]\nname = "x"\ndynamic = ["version"]\n' + tool)[:2] == ("x", None)


def test_setup_cfg() -> None:
    expected = Metadata("my-package", "1.0rc1", frozenset({"other-package", "third"}), frozenset({"pytest"}))
    assert said("", CFG) == expected
    assert said(SETUPTOOLS, CFG) == expected._replace(build_requires=frozenset({"setuptools"}))
    assert said("", CFG, setup_py=True) == expected
    assert said('[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"', CFG).name is None


@pytest.mark.parametrize(
    ("setup_cfg", "setup_py", "found"),
    [
        ("[metadata]\nname = x\nversion = attr: x.__version__", False, ("x", None, frozenset())),
        ("[metadata]\nname = x\nversion = file: VERSION", False, ("x", None, frozenset())),
        ("[metadata]\nname = x\nversion = 1", True, ("x", "1", None)),
        ("[metadata]\nname = x\nversion = 1\n[options]\ninstall_requires = file: r.txt", False, ("x", "1", None)),
        ("[metadata]\nname = x\nversion = 1\n[egg_info]\ntag_build = .dev", False, ("x", None, frozenset())),
        ("[metadata]\nname = x\nversion = 1\n[egg_info]\ntag_build =\ntag_date = 0", False, ("x", "1", frozenset())),
        ("[bdist_wheel]\nuniversal = 1", True, (None, None, None)),
        ("[metadata\nname = x", False, (None, None, None)),
        ("name = x", False, (None, None, None)),
        ("[metadata]\nname = x\nname = y", False, (None, None, None)),
        ("[metadata]\nname = %(x)s\nversion = 1", False, (None, "1", frozenset())),
    ],
)
def test_incomplete_setup_cfg(setup_cfg: str, found: tuple[object, ...], *, setup_py: bool) -> None:
    assert said("", setup_cfg, setup_py=setup_py)[: len(found)] == found


def test_setup_cfg_may_tag_the_version() -> None:
    pyproject = f'{SETUPTOOLS}[project]\nname = "x"\nversion = "1"'
    assert said(pyproject, "[egg_info]\ntag_build = dev").version is None
    assert said(pyproject, "[egg_info]\ntag_date = 1").version is None
    assert said(pyproject, "[egg_info]\ntag_date = 0").version == "1"


def test_reads_a_folder(tmp_path: Path) -> None:
    assert read(tmp_path, {}) == Metadata()
    (tmp_path / "setup.cfg").write_text(CFG)
    assert read(tmp_path, {}).name == "my-package"
    (tmp_path / "setup.cfg").write_bytes(b"\xff")
    assert read(tmp_path, {}) == Metadata()
