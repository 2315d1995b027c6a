"""Version tools, each with a small project, and the checkouts that git makes of them."""

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from bench.corpus.projects import commit

Kind = Literal["a subfolder", "shallow", "a worktree", "without `.git`"]
CHECKOUTS: Sequence[Kind] = get_args(Kind)
_FOLDER = "packages"
_VERSION = "1.2.3"
_IGNORED = "*.egg-info/\n.eggs/\n.pdm-build/\nbuild/\ndist/\n__pycache__/\n_version.py\nAUTHORS\nChangeLog\n"
_HEAD = """[build-system]
requires = [{requires}]
build-backend = "{backend}"
"""
_PROJECT = """
[project]
name = "PROJECT"
description = "A small package."
requires-python = ">=3.9"
"""
_SETUPTOOLS = "setuptools.build_meta"


@dataclass(frozen=True)
class Tool:
    """A tool that asks git for the version, or for the list of files, and how a project uses it.

    Attributes:
        name: Its name.
        requires: The build requirements, as in pyproject.toml.
        backend: The build backend.
        settings: What follows in pyproject.toml. PROJECT and MODULE are the names of the project and its module.
        files: More files, with the same words.
    """

    name: str
    requires: str
    backend: str
    settings: str
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def project(self) -> str:
        """The normalised name of the project, and of its folder."""
        return f"uses-{re.sub(r'[^a-z0-9]+', '-', self.name.lower())}"

    def write(self, folder: Path) -> None:
        """Write the project into a new folder."""
        module = self.project.replace("-", "_")
        files = {
            "pyproject.toml": _HEAD.format(requires=self.requires, backend=self.backend) + self.settings,
            "notes.txt": "Notes.\n",
            "MODULE/__init__.py": '"""A small package."""\n',
            "MODULE/words.txt": "hello\n",
            **self.files,
        }
        for name, text in files.items():
            file = folder / name.replace("MODULE", module)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text.replace("MODULE", module).replace("PROJECT", self.project))


def _tools() -> Iterator[Tool]:
    dynamic = f'{_PROJECT}dynamic = ["version"]\n'
    scm = f'{dynamic}[tool.setuptools_scm]\nroot = "../.."\n'
    hatch = f"{dynamic}[tool.hatch.version]\n"
    for major in (7, 8, 9, 10):
        requires = f'"setuptools>=64", "setuptools-scm>={major},<{major + 1}"'
        yield Tool(f"setuptools-scm {major}", requires, _SETUPTOOLS, scm)
    requires = '"setuptools>=64", "setuptools-scm>=10,<11"'
    yield Tool("setuptools-scm 10, files alone", requires, _SETUPTOOLS, f'{_PROJECT}version = "{_VERSION}"\n')
    yield Tool(
        "hatch-vcs",
        '"hatchling", "hatch-vcs"',
        "hatchling.build",
        f'{hatch}source = "vcs"\nraw-options.root = "../.."\n',
    )
    yield Tool("versioningit", '"setuptools", "versioningit"', _SETUPTOOLS, f"{dynamic}[tool.versioningit]\n")
    yield Tool(
        "uv-dynamic-versioning",
        '"hatchling", "uv-dynamic-versioning"',
        "hatchling.build",
        f'{hatch}source = "uv-dynamic-versioning"\n',
    )
    yield Tool(
        "poetry-dynamic-versioning",
        '"poetry-core>=2", "poetry-dynamic-versioning>=1.5"',
        "poetry_dynamic_versioning.backend",
        f'{dynamic}[tool.poetry]\nversion = "0.0.0"\n[tool.poetry-dynamic-versioning]\nenable = true\n',
    )
    yield Tool(
        "setuptools-git-versioning",
        '"setuptools>=64", "setuptools-git-versioning>=2"',
        _SETUPTOOLS,
        f"{dynamic}[tool.setuptools-git-versioning]\nenabled = true\n",
    )
    yield Tool(
        "versioneer",
        '"setuptools>=64", "versioneer[toml]"',
        _SETUPTOOLS,
        f'{dynamic}[tool.versioneer]\nVCS = "git"\nstyle = "pep440"\ntag_prefix = "v"\n'
        'versionfile_source = "MODULE/_version.py"\nversionfile_build = "MODULE/_version.py"\n',
        {
            "setup.py": "import versioneer\nfrom setuptools import setup\n"
            "setup(version=versioneer.get_version(), cmdclass=versioneer.get_cmdclass())\n"
        },
    )
    yield Tool(
        "pbr",
        '"setuptools>=64", "pbr>=6"',
        "pbr.build",
        "",
        {
            "setup.cfg": "[metadata]\nname = PROJECT\nsummary = A small package.\n[files]\npackages =\n    MODULE\n",
            "setup.py": "from setuptools import setup\nsetup(pbr=True)\n",
        },
    )
    yield Tool(
        "flit-scm",
        '"flit-scm"',
        "flit_scm:buildapi",
        f'{scm}write_to = "{_FOLDER}/PROJECT/MODULE/_version.py"\n[tool.flit.module]\nname = "MODULE"\n',
        {"MODULE/__init__.py": '"""A small package."""\n\nfrom ._version import version as __version__\n'},
    )
    yield Tool("pdm-backend", '"pdm-backend"', "pdm.backend", f'{dynamic}[tool.pdm.version]\nsource = "scm"\n')


TOOLS = tuple(_tools())


@dataclass(frozen=True)
class Checkout:
    """A checkout with a project for each tool in a subfolder, one commit after its tag.

    Attributes:
        kind: A whole checkout; the last commit alone, which has no tag, as `actions/checkout` fetches it; a worktree of
            a repository in another folder; or the files without a repository.
    """

    kind: Kind

    def lay(self, downloads: Path, workspace: Path) -> Path:  # noqa: ARG002 - nothing is downloaded
        """Make the checkout in an empty workspace, and return the folder of the projects.

        A repository that it is made from is in the empty folder `origin` beside the workspace.
        """
        origin = workspace.with_name("origin")
        made = workspace if self.kind in {"a subfolder", "without `.git`"} else origin
        for tool in TOOLS:
            tool.write(made / _FOLDER / tool.project)
        (made / ".gitignore").write_text(_IGNORED)
        if self.kind != "without `.git`":
            commit(made, _VERSION, ahead=1)
        if self.kind == "shallow":
            _git("clone", "--quiet", "--depth=1", origin.as_uri(), str(workspace))
        elif self.kind == "a worktree":
            _git("-C", str(origin), "worktree", "add", "--quiet", "--detach", str(workspace))
        return workspace / _FOLDER


def _git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True)
