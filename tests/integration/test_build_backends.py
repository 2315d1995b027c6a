"""Builds with real build backends from PyPI."""

import os
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from gar_publish.builder.backend import Kind
from gar_publish.builder.builds import building
from gar_publish.context import new_context
from gar_publish.distributions import distribution
from gar_publish.errors import BadInput, BuildFailure
from gar_publish.projects import find
from tests.blocks import blocks
from tests.conftest import ROOT
from tests.git import commit
from tests.recording import RecordingConsole
from tests.unit.builder.indexes import no_index

Made = Callable[..., list[Path]]
BACKENDS = {
    "setuptools": ('["setuptools>=77"]', "setuptools.build_meta"),
    "hatchling": ('["hatchling"]', "hatchling.build"),
    "flit-core": ('["flit_core>=3.11"]', "flit_core.buildapi"),
    "poetry-core": ('["poetry-core>=2"]', "poetry.core.masonry.api"),
    "pdm-backend": ('["pdm-backend"]', "pdm.backend"),
    "uv-build": ('["uv_build"]', "uv_build"),
}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "workspace").mkdir()
    return tmp_path / "workspace"


@pytest.fixture
def console() -> RecordingConsole:
    return RecordingConsole()


@pytest.fixture
def made(workspace: Path, tmp_path: Path, clean_env: dict[str, str], console: RecordingConsole) -> Made:
    def made(
        *formats: Kind, packages: tuple[str, ...] = (".",), build_env: tuple[str, ...] = (), **variables: str
    ) -> list[Path]:
        out = Path(tempfile.mkdtemp(dir=tmp_path))
        files: list[Path] = []
        with building(
            find.find(packages, workspace),
            formats=formats,
            out=out,
            context=new_context({**clean_env, **variables}, console, workspace=workspace),
            private_index=no_index,
            build_env=build_env,
        ) as builds:
            for each in builds:
                if each.failure:
                    raise each.failure
                files += each.files
        return files

    return made


@pytest.mark.parametrize("name", BACKENDS)
def test_a_backend(name: str, workspace: Path, made: Made) -> None:
    requires, backend = BACKENDS[name]
    module = f"made_by_{name.replace('-', '_')}"
    (workspace / "src" / module).mkdir(parents=True)
    (workspace / "src" / module / "__init__.py").write_text("answer = 42\n")
    (workspace / "README.md").write_text("# Made\n")
    (workspace / "pyproject.toml").write_text(
        f'[build-system]\nrequires = {requires}\nbuild-backend = "{backend}"\n'
        f'[project]\nname = "{module}"\nversion = "1.0"\ndescription = "x"\nreadme = "README.md"\n'
        'requires-python = ">=3.11"\n'
    )
    sdist, wheel = made("wheel", "sdist", SOURCE_DATE_EPOCH="1700000000")
    assert [sdist.name, wheel.name] == [f"{module}-1.0.tar.gz", f"{module}-1.0-py3-none-any.whl"]
    assert {file.name for file in (workspace / "dist").iterdir()} == {sdist.name, wheel.name}
    for file in (sdist, wheel):
        assert distribution.read(file).version == "1.0"
    with zipfile.ZipFile(wheel) as archive:
        assert f"{module}/__init__.py" in archive.namelist()


def test_setup_py_only(workspace: Path, made: Made, console: RecordingConsole) -> None:
    (workspace / "setup.py").write_text(
        "from setuptools import setup\nprint('hello from setup.py')\n"
        "setup(name='old', version='0.1', py_modules=['old'])\n"
    )
    (workspace / "old.py").touch()
    (wheel,) = made("wheel")
    assert wheel.name == "old-0.1-py3-none-any.whl"
    assert "hello from setup.py" in console.of("foreign")
    assert console.of("group") == ["Build workspace"]


def test_setuptools_scm_with_a_tag_for_each_package(workspace: Path, made: Made) -> None:
    """Below the top of the checkout: HEAD has a tag of one package, and the others have older tags."""
    (shown,) = (block.text for block in blocks(ROOT / "docs/monorepo.md") if "setuptools_scm" in block.text)
    without_scope = shown.replace("scm.git.distance_scope = true\n", "")
    assert without_scope != shown
    for name, settings in {"tagged": shown, "every_commit": without_scope, "own_commits": shown}.items():
        folder = workspace / "packages" / name
        folder.mkdir(parents=True)
        (folder / f"{name}.py").touch()
        (folder / "pyproject.toml").write_text(
            '[build-system]\nrequires = ["setuptools>=77", "setuptools-scm>=10.3"]\n'
            f'build-backend = "setuptools.build_meta"\n[project]\nname = "{name}"\ndynamic = ["version"]\n'
            f'[tool.setuptools]\npy-modules = ["{name}"]\n{settings.replace("greetings", name)}'
        )
    commit(workspace, "every_commit-v1.0.0", "own_commits-v2.0.0")
    (workspace / "packages/tagged/tagged.py").write_text("x = 1\n")
    commit(workspace, "tagged-v4.5.6")
    sdist, wheel = made("sdist", "wheel", packages=("packages/tagged",))
    assert [sdist.name, wheel.name] == ["tagged-4.5.6.tar.gz", "tagged-4.5.6-py3-none-any.whl"]
    with zipfile.ZipFile(wheel) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(2020, 2, 2, 0, 0, 0)}
    development, kept = sorted(file.name for file in made("wheel", packages=("packages/*", "!packages/tagged")))
    assert development.startswith("every_commit-1.0.1.dev1+g")
    assert kept == "own_commits-2.0.0-py3-none-any.whl"


DATED = """
import os, zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(folder + "/a-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("epoch", os.environ.get("SOURCE_DATE_EPOCH", "none"))
    return "a-1.0-py3-none-any.whl"
"""


@pytest.mark.parametrize(("given", "epoch"), [({}, "1580601600"), ({"SOURCE_DATE_EPOCH": "1700000000"}, "1700000000")])
def test_the_source_date(workspace: Path, made: Made, given: dict[str, str], epoch: str) -> None:
    """It does not depend on the last commit: a package that has not changed is the same file again."""
    (workspace / "backend.py").write_text(DATED)
    (workspace / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    commit(workspace)
    (wheel,) = made("wheel", **given)
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("epoch").decode() == epoch


def test_nothing_is_built_with_a_wrong_source_date(workspace: Path, made: Made) -> None:
    (workspace / "setup.py").write_text("raise SystemExit('it was built')")
    with pytest.raises(BadInput, match="SOURCE_DATE_EPOCH"):
        made("wheel", SOURCE_DATE_EPOCH="yesterday")


def test_a_requirement_that_is_an_sdist_only(workspace: Path, made: Made) -> None:
    (workspace / "backend.py").write_text(f"import docopt\n{DATED}")
    (workspace / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["docopt==0.6.2"]\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    (wheel,) = made("wheel")
    assert wheel.name == "a-1.0-py3-none-any.whl"


def test_a_requirement_that_only_the_backend_knows(workspace: Path, made: Made) -> None:
    more = "def get_requires_for_build_wheel(config_settings=None): return ['iniconfig']\n"
    (workspace / "backend.py").write_text(more + DATED.replace("    with", "    import iniconfig\n    with"))
    (workspace / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    (wheel,) = made("wheel")
    assert wheel.name == "a-1.0-py3-none-any.whl"


def test_an_extension_without_a_compiler(workspace: Path, made: Made) -> None:
    (workspace / "setup.py").write_text(
        "from setuptools import Extension, setup\n"
        "setup(name='fast', version='1', ext_modules=[Extension('fast', ['fast.c'])])\n"
    )
    (workspace / "fast.c").write_text("int x;\n")
    with pytest.raises(BuildFailure) as caught:
        made("wheel", CC="no-such-gcc")
    assert (caught.value.anchor, caught.value.what) == (
        "missing-program",
        "The build of workspace needs no-such-gcc, and cannot run or find it.",
    )


def test_what_an_earlier_build_left_is_not_published(workspace: Path, made: Made) -> None:
    (workspace / "setup.py").write_text("from setuptools import setup\nsetup(name='a', version='1', packages=['a'])\n")
    for name in ("a/__init__.py", "build/lib/a/removed.py"):
        (workspace / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace / name).touch()
    (wheel,) = made("wheel")
    with zipfile.ZipFile(wheel) as archive:
        assert [name for name in archive.namelist() if name.endswith(".py")] == ["a/__init__.py"]
    shutil.rmtree(workspace / "build")
    made("wheel")
    assert not (workspace / "build").exists()


def test_a_project_that_expects_a_relative_build_folder(workspace: Path, made: Made) -> None:
    (workspace / "setup.py").write_text(
        "import os\nfrom setuptools import setup\nfrom setuptools.command.build_py import build_py\n"
        "class Build(build_py):\n"
        "    def run(self):\n        super().run()\n        os.stat(os.getcwd() + '/' + self.build_lib)\n"
        "setup(name='a', version='1', packages=['a'], cmdclass={'build_py': Build})\n"
    )
    (workspace / "a").mkdir()
    (workspace / "a/__init__.py").touch()
    (wheel,) = made("wheel")
    with zipfile.ZipFile(wheel) as archive:
        assert "a/__init__.py" in archive.namelist()
    assert not (workspace / "build").exists()


def test_a_backend_that_builds_in_a_copy_of_the_tree(workspace: Path, made: Made) -> None:
    """The copy is at another depth than the tree, so a path from the tree would lead elsewhere."""
    (workspace / "setup.py").write_text(
        "import os, tempfile\nfrom setuptools import setup\nfrom setuptools.command.build_py import build_py\n"
        "class Build(build_py):\n"
        "    def run(self):\n"
        "        tree, here = os.getcwd(), os.path.realpath(self.build_lib)\n"
        "        os.makedirs('copy/inside')\n"
        "        for folder in (tree + '/copy/inside', tempfile.mkdtemp(), '/'):\n"
        "            os.chdir(folder)\n"
        "            assert os.path.realpath(self.build_lib) == here\n"
        "        os.chdir(tree)\n        super().run()\n"
        "setup(name='a', version='1', py_modules=['setup'], cmdclass={'build_py': Build})\n"
    )
    made("wheel")


def test_objects_of_sources_above_the_project_stay_in_its_build_folder(workspace: Path, made: Made) -> None:
    """Another project's objects may have the same names; and root's builds may not write outside of it."""
    (workspace / "setup.py").write_text(
        "import os\nfrom setuptools import Extension, setup\nfrom setuptools.command.build_ext import build_ext\n"
        "class Build(build_ext):\n"
        "    def run(self):\n"
        "        folder = os.path.dirname(os.path.realpath(os.environ['DIST_EXTRA_CONFIG']))\n"
        "        assert os.path.realpath(self.build_temp + '/../../../native/x.o').startswith(folder + os.sep)\n"
        "setup(name='a', version='1', cmdclass={'build_ext': Build},\n"
        "      ext_modules=[Extension('a', ['../../../native/x.c'])])\n"
    )
    made("wheel")


def test_variables_that_a_project_asks_for(workspace: Path, made: Made) -> None:
    """Its hooks start as fresh processes, so that a backend can read them when it is imported."""
    (workspace / "setup.py").write_text(
        "import os\nfrom setuptools import setup\n"
        "setup(name='a', version=os.environ['RELEASE_VERSION'] if 'SECRET' not in os.environ else '0')\n"
    )
    (wheel,) = made("wheel", build_env=("RELEASE_VERSION",), RELEASE_VERSION="4.5.6", SECRET="x")
    assert wheel.name == "a-4.5.6-py3-none-any.whl"


def test_constraints_of_build_requirements(workspace: Path, made: Made, tmp_path: Path) -> None:
    (workspace / "backend.py").write_text(f"import iniconfig\n{DATED}")
    (workspace / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["iniconfig"]\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    (tmp_path / "constraints.txt").write_text("iniconfig==99\n")
    for name in ("PIP_CONSTRAINT", "UV_CONSTRAINT", "UV_BUILD_CONSTRAINT"):
        with pytest.raises(BuildFailure, match="could not be installed"):
            made("wheel", **{name: str(tmp_path / "constraints.txt")})
    with pytest.raises(BadInput, match=r"UV_CONSTRAINT names nothing\.txt, which cannot be read"):
        made("wheel", UV_CONSTRAINT="nothing.txt")


def test_only_an_sdist(workspace: Path, made: Made) -> None:
    (workspace / "setup.py").write_text("from setuptools import setup\nsetup(name='old', version='0.1')\n")
    (sdist,) = made("sdist")
    with tarfile.open(sdist) as archive:
        assert "old-0.1/PKG-INFO" in archive.getnames()
    assert sdist.stat().st_mode & 0o777 == 0o644 or os.name == "nt"
