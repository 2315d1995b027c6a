"""Compile the modules that a run imports: the last step of the image's build.

It finds them by importing gar-publish and by building projects. A module of a library is in the image once: as byte
code if it was imported here, otherwise as its source. gar-publish and pyproject_hooks keep their sources. The byte code
of the standard library, which the official base image does not have, is added to the image.
"""

import ast
import contextlib
import importlib
import json
import os
import py_compile
import shutil
import sys
import sysconfig
import tempfile
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from build import ProjectBuilder
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import gar_publish
from gar_publish.builder import image_backends

SOURCES_KEPT = ("gar_publish", "pyproject_hooks")
VERSION = 'version = "1.0"'
PROJECTS = (
    ("flit_core.buildapi", ["flit_core"], VERSION, ""),
    ("hatchling.build", ["hatchling"], VERSION, ""),
    ("hatchling.build", ["hatchling", "hatch-vcs"], 'dynamic = ["version"]', '[tool.hatch.version]\nsource = "vcs"'),
    ("pdm.backend", ["pdm-backend"], VERSION, ""),
    ("poetry.core.masonry.api", ["poetry-core"], VERSION, ""),
    ("setuptools.build_meta", ["setuptools"], VERSION, ""),  # imports its own copy of packaging, unlike the two below
    ("setuptools.build_meta", ["setuptools", "wheel"], VERSION, ""),
    ("setuptools.build_meta", ["setuptools", "setuptools-scm"], 'dynamic = ["version"]', "[tool.setuptools_scm]"),
)
README = "Title\n=====\n\n* a `link <https://example.org>`_\n\n.. code-block:: python\n\n   ...\n\n=  =\na  b\n=  =\n"
PYPROJECT = """
[build-system]
requires = {requires}
build-backend = "{backend}"
[project]
name = "hello"
{version}
description = "Shows the backend every common field."
readme = "README.rst"
requires-python = ">=3.11"
authors = [{{name = "A", email = "a@example.org"}}]
classifiers = ["Programming Language :: Python :: 3"]
dependencies = ["requests>=2; python_version > '3'"]
[project.optional-dependencies]
extra = ["requests"]
[project.scripts]
hello = "hello:main"
{more}
"""


def main(target: Path, left_out: Path) -> None:
    """Compile gar-publish's environment, and copy the other byte code for the image to `target`.

    Args:
        target: A folder that will be copied to the root of the image.
        left_out: A list of the requirements that the image does not have.
    """
    started = time.time()
    target.mkdir()
    for name in sorted(_imports(Path(gar_publish.__file__).parent)):
        with contextlib.suppress(ImportError):  # not in the image
            importlib.import_module(name)
    from readme_renderer import rst

    assert rst.render(README)
    for project in PROJECTS:
        _build(*project)
    names = {canonicalize_name(line) for line in left_out.read_text().splitlines() if not line.startswith("#")}
    for place in image_backends.PLACES:
        _drop_sources(place)
        _drop_requirements(place, names)
    for file in Path(sysconfig.get_path("stdlib")).rglob("*.pyc"):
        if file.stat().st_mtime >= started:
            copy = target.joinpath(*file.parts[1:])
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)


def _imports(folder: Path) -> Iterator[str]:
    """Yield all that gar-publish imports, also inside functions."""
    for file in folder.rglob("*.py"):
        yield ".".join(file.relative_to(folder.parent).with_suffix("").parts)
        for node in ast.walk(ast.parse(file.read_bytes())):
            match node:
                case ast.Import(names):
                    yield from (each.name for each in names)
                case ast.ImportFrom(str(module), names, 0):
                    yield from (module, *(f"{module}.{each.name}" for each in names))


def _build(backend: str, requires: list[str], version: str, more: str) -> None:
    """Build a project in the environment that a run would use."""
    chosen = image_backends.choose([Requirement(each) for each in requires])
    assert chosen, requires
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        image_backends.link(chosen, folder / "environment")
        (folder / "src/hello").mkdir(parents=True)
        (folder / "src/hello/__init__.py").write_text('"""Hello."""\n')
        (folder / "README.rst").write_text(README)
        (folder / "pyproject.toml").write_text(
            PYPROJECT.format(backend=backend, requires=json.dumps(requires), version=version, more=more)
        )
        builder = ProjectBuilder(folder, python_executable=str(folder / "environment/bin/python"))
        for kind in ("sdist", "wheel"):
            builder.get_requires_for_build(kind)
            builder.build(kind, folder / "dist")


def _drop_sources(place: Path) -> None:
    """Replace the sources of imported modules with byte code, compiled again with the real path in it."""
    for code in place.rglob("__pycache__/*.pyc"):
        source = code.parent.with_name(f"{code.name.partition('.')[0]}.py")
        if source.parent != place and source.relative_to(place).parts[0] not in SOURCES_KEPT:
            py_compile.compile(str(source), str(source.with_suffix(".pyc")), doraise=True)
            source.unlink()
            code.unlink()


def _drop_requirements(place: Path, names: Collection[str]) -> None:
    """Remove the requirements that the image does not have on purpose, so that `pip check` shows only real gaps."""
    for file in place.glob("*.dist-info/METADATA"):
        head, blank, description = file.read_text(encoding="utf-8").partition("\n\n")
        kept = [line for line in head.splitlines() if _required(line) not in names]
        file.write_text("\n".join(kept) + blank + description, encoding="utf-8")


def _required(header: str) -> str | None:
    field, _, value = header.partition(": ")
    return canonicalize_name(Requirement(value).name) if field == "Requires-Dist" else None


if __name__ == "__main__":
    os.environ["SETUPTOOLS_SCM_PRETEND_VERSION"] = "1.0"  # the projects are not in a repository
    main(*map(Path, sys.argv[1:]))
