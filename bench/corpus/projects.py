"""The projects of the corpus: sdists from PyPI, and git checkouts that are made from some of them."""

import functools
import hashlib
import re
import subprocess
import tarfile
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urljoin

import requests
from pip._internal.models.index import PyPI

LISTED = Path(__file__).with_name("sdists.toml")
CHECKED_OUT = (
    "con-duct",
    "dep-logic",
    "exceptiongroup",
    "intervaltree",
    "partd",
    "prefixmaps",
    "pydantic-graph",
    "stevedore",
    "tabulate",
    "termcolor",
    "toolz",
    "urllib3",
    "versioningit",
    "waylay-sdk",
    "zipp",
)
"""Projects whose version, or list of files, comes from git. Each is built at the root and in a subfolder, too."""

_SUBFOLDER = "packages"
_OF_SDISTS = ("PKG-INFO", "*.egg-info")
_IGNORED = "_version.py\n*.egg-info/\nbuild/\ndist/\n"
_BELOW = {
    "[tool.setuptools_scm]\n": '[tool.setuptools_scm]\nroot = "../.."\n',
    "[tool.hatch.version.raw-options]\n": '[tool.hatch.version.raw-options]\nroot = "../.."\n',
    'write_to = "': f'write_to = "{_SUBFOLDER}/NAME/',
}
"""What the owner of a repository would set for a project in a subfolder."""


@dataclass(frozen=True)
class Sdist:
    """A source distribution on PyPI, pinned by its hash."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True)
class Project:
    """One project of the corpus.

    Attributes:
        sdist: What it is made from.
        backend: Its backend or version tool.
        kind: An unpacked sdist; or a git checkout, tagged with its version, or with one commit more and the project in
            a subfolder.
    """

    sdist: Sdist
    backend: str
    kind: Literal["sdist", "checkout", "subfolder"]

    @property
    def label(self) -> str:
        return f"{self.sdist.name}-{self.sdist.version}{'' if self.kind == 'sdist' else f' ({self.kind})'}"

    def lay(self, downloads: Path, workspace: Path) -> Path:
        """Make the project in an empty workspace, and return its folder."""
        source = _downloaded(self.sdist, downloads)
        is_below = self.kind == "subfolder"
        folder = workspace / _SUBFOLDER / source.name if is_below else workspace / source.name
        folder.parent.mkdir(exist_ok=True)
        subprocess.run(["cp", "-a", source, folder], check=True)
        if self.kind != "sdist":
            _restore(folder, is_below=is_below)
            commit(workspace if is_below else folder, self.sdist.version, ahead=int(is_below))
        return folder


@dataclass(frozen=True)
class Repository:
    """A git repository on this machine, which is cloned into the workspace."""

    folder: Path

    @property
    def label(self) -> str:
        return f"{self.folder.name} (clone)"

    @property
    def backend(self) -> str:
        """The `build-backend`; `unknown` if its pyproject.toml is not valid."""
        shown = subprocess.run(
            ["git", "-C", self.folder, "show", "HEAD:pyproject.toml"], capture_output=True, check=False
        ).stdout
        try:
            backend = tomllib.loads(shown.decode()).get("build-system", {}).get("build-backend", "setuptools")
        except (ValueError, AttributeError):
            return "unknown"
        return str(backend)

    def lay(self, downloads: Path, workspace: Path) -> Path:  # noqa: ARG002 - a clone needs no downloads
        """Clone it into an empty workspace, and return the project's folder.

        Raises:
            ValueError: git cannot clone it; the message is a sentence.
        """
        target = workspace / self.folder.name
        done = subprocess.run(
            ["git", "clone", "--quiet", "--no-local", self.folder, target],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode:
            raise ValueError(f"git cannot clone it: {' '.join(done.stderr.split())}")
        return target


def projects() -> Iterator[Project]:
    """Yield all projects, by their backends."""
    for backend, sdists in tomllib.loads(LISTED.read_text(encoding="utf-8")).items():
        for name, pin in sdists.items():
            sdist = Sdist(name, *pin.split())
            yield Project(sdist, backend, "sdist")
            if name in CHECKED_OUT:
                yield Project(sdist, backend, "checkout")
                yield Project(sdist, backend, "subfolder")


def sample(of: Sequence[Project | Repository], count: int) -> list[Project | Repository]:
    """Return so many projects, of as many backends as possible."""
    seen: dict[str, int] = {}
    ranked: list[tuple[int, int]] = []
    for number, project in enumerate(of):
        seen[project.backend] = seen.get(project.backend, 0) + 1
        ranked.append((seen[project.backend], number))
    return [of[number] for number in sorted(number for _, number in sorted(ranked)[:count])]


@functools.cache
def _downloaded(sdist: Sdist, downloads: Path) -> Path:
    """Download an sdist, check its hash, and return the folder that it was unpacked to."""
    folder = downloads / sdist.name
    folder.mkdir()
    index = f"{PyPI.simple_url}/{sdist.name}/"
    page = requests.get(index, timeout=60)
    page.raise_for_status()
    links = re.findall(r'href="([^"#]+)#sha256=([0-9a-f]{64})"', page.text)
    (link,) = (href for href, sha256 in links if sha256 == sdist.sha256)
    content = requests.get(urljoin(index, link), timeout=60).content
    assert hashlib.sha256(content).hexdigest() == sdist.sha256
    archive = folder / str(link).rpartition("/")[2]
    archive.write_bytes(content)
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


def _restore(folder: Path, *, is_below: bool) -> None:
    """Remove what the repository of a project does not have, and let its version tool find the repository."""
    for pattern in _OF_SDISTS:
        for path in folder.rglob(pattern):
            subprocess.run(["rm", "-r", path], check=True)
    with (folder / ".gitignore").open("a") as ignored:
        ignored.write(f"\n{_IGNORED}")
    settings = folder / "pyproject.toml"
    text = settings.read_text(encoding="utf-8").replace("enable = false\nvcs =", "enable = true\nvcs =")
    if is_below:
        for old, new in _BELOW.items():
            text = text.replace(old, new.replace("NAME", folder.name))
    settings.write_text(text, encoding="utf-8")


def commit(root: Path, version: str, *, ahead: int) -> None:
    """Make a repository with a tag, and so many commits after it. They have the same hashes in each run."""
    date = {f"GIT_{who}_DATE": "2020-01-01T00:00:00Z" for who in ("AUTHOR", "COMMITTER")}
    who = ("-c", "user.name=Octocat", "-c", "user.email=octocat@example.org")
    once = (*who, "commit", "--quiet", "--allow-empty", "--message=A commit")
    for command in (
        ("init", "--quiet", "--initial-branch=main"),
        ("add", "."),
        once,
        ("tag", f"v{version}"),
        *[once] * ahead,
    ):
        subprocess.run(["git", *command], cwd=root, env={"PATH": "/usr/bin:/bin", **date}, check=True)
