"""Ask git which projects have changed since a commit, and about commits."""

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from gar_publish.errors import BadInput
from gar_publish.files import open_regular
from gar_publish.projects import graph
from gar_publish.projects.find import Project

_COMMITTER = re.compile(r"^committer .* (\d+) [+-]\d+$", re.MULTILINE)
_PARENT = re.compile(r"^parent (\w+)$", re.MULTILINE)
_LATEST = 253_402_300_799
"""The end of the year 9999, in seconds. A commit may have any date."""

_GUESSED = re.compile(r"0(\.0)*(\.1(?=\.dev))?((\.post|\.dev)\d+)*(\+.+)?")
"""A version that a version tool gives a commit without a tag: 0.1.dev1+gfbdb6d2, 0.0.0 or 0+untagged.1.gfbdb6d2."""

_SUBMODULE = re.compile(r"^\s*path *= *(\S+)", re.MULTILINE)
_LONGEST_LIST = 1024 * 1024

_HANDED_ON = ("PATH", "HOME", "XDG_CONFIG_HOME", "USERPROFILE", "SYSTEMROOT")


class Commit(NamedTuple):
    """A commit of a checkout.

    Attributes:
        hash: Its hash.
        time: When it was made, in whole seconds (the committer's time).
        parents: The hashes of its parents. A shallow clone does not have them.
    """

    hash: str
    time: datetime
    parents: tuple[str, ...]


def commit(name: str, root: Path, environment: Mapping[str, str]) -> Commit:
    """Return a commit.

    Args:
        name: A hash, a branch or a tag.
        root: A folder of the checkout.
        environment: All environment variables.

    Raises:
        BadInput: There is no such commit, no checkout, or no git.
    """
    git = _Git(root, environment)
    found = git.commit(name)
    # `git show` could start the programs that verify signatures.
    head = git.ask("cat-file", "commit", found).partition("\n\n")[0]
    times = _COMMITTER.findall(head)
    if not times:
        raise git.unknown(name)
    return Commit(found, datetime.fromtimestamp(min(int(times[-1]), _LATEST), UTC), tuple(_PARENT.findall(head)))


def branch(root: Path, environment: Mapping[str, str]) -> str:
    """Return the branch that is checked out; empty if none is.

    Raises:
        BadInput: There is no checkout, or no git.
    """
    return _Git(root, environment).ask("symbolic-ref", "--short", "--quiet", "HEAD").strip()


def changed(projects: Sequence[Project], since: str, root: Path, environment: Mapping[str, str]) -> list[Project]:
    """Return the projects with a changed file, and those that require any of them, directly or not.

    Requirements of extras alone do not count: an extra often names everything. For the arguments, see `touched`.

    Raises:
        BadInput: There is no such commit, no checkout, or no git.
    """
    requires = {each.key: (each.requires or frozenset()) | each.build_requires for each in projects}
    wanted = graph.dependents(requires, touched(projects, since, root, environment))
    return [project for project in projects if project.key in wanted]


def touched(projects: Sequence[Project], since: str, root: Path, environment: Mapping[str, str]) -> set[str]:
    """Return the keys of the projects with a changed file.

    A file has changed if it differs between the working tree and the last common commit of HEAD and `since`. It belongs
    to the innermost project around it, and to each project with a symbolic link to it, or to a folder above it.

    Args:
        projects: The projects to choose from.
        since: A commit, a branch or a tag.
        root: A folder of the checkout.
        environment: All environment variables.

    Raises:
        BadInput: There is no such commit, no checkout, or no git.
    """
    git = _Git(root, environment)
    below = defaultdict[Path, set[str]](set)
    linked = defaultdict[Path, set[str]](set)
    for project in projects:
        if not project.folder.is_relative_to(git.top):
            raise BadInput(
                f"{project.title} is not in the git checkout {git.top}, so its changes are unknown.",
                fix="run gar-publish in the checkout of this project, or remove `--changed-since`",
                anchor="no-checkout",
            )
        for folder in (project.folder, *project.folder.parents):
            below[folder].add(project.key)
        for target in _linked(project.folder):
            linked[target].add(project.key)
    keys = {project.folder: project.key for project in projects}
    found = set[str]()
    for file in git.differing_files(since):
        found.add(next((keys[folder] for folder in file.parents if folder in keys), ""))
        found |= below.get(file, set())  # a submodule is one file to git
        for path in (file, *file.parents):
            found |= linked.get(path, set())
    return found - {""}


def _linked(project: Path) -> Iterator[Path]:
    """Yield what symbolic links of a project lead to, outside of it."""
    for folder, folders, files in os.walk(project):
        for name in (*folders, *files):
            path = Path(folder, name)
            if path.is_symlink():
                with contextlib.suppress(OSError, RuntimeError):  # a loop
                    target = path.resolve()
                    if not target.is_relative_to(project):
                        yield target


def checked_out(root: Path, environment: Mapping[str, str]) -> tuple[str, bool] | None:
    """Return the commit of a checkout, and whether its files differ from it; None if git does not know.

    Args:
        root: A folder of the checkout.
        environment: All environment variables.
    """
    with contextlib.suppress(BadInput):
        git = _Git(root, environment)
        return git.commit("HEAD"), any(git.differing_files("HEAD"))
    return None


def ignored(folders: Iterable[Path], root: Path, environment: Mapping[str, str]) -> set[Path]:
    """Return the files in folders that git ignores; none if there is no checkout or no git.

    Args:
        folders: The absolute paths.
        root: A folder of the checkout.
        environment: All environment variables.
    """
    with contextlib.suppress(BadInput):
        git = _Git(root, environment)
        names = git.ask("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--", *map(str, folders))
        return {git.top / name for name in names.split("\0")[:-1]}
    return set()


def empty_submodules(tree: Path) -> list[str]:
    """Return the submodules of the checkout around a tree whose folders are empty. git is not asked."""
    for folder in (tree, *tree.parents):
        with contextlib.suppress(OSError), open_regular(folder / ".gitmodules", _LONGEST_LIST) as file:
            paths = _SUBMODULE.findall(file.read().decode(errors="replace"))
            return [path for path in paths if (folder / path).is_dir() and not any((folder / path).iterdir())]
    return []


def guessed(name: str, version: str, folder: Path) -> Iterator[str]:
    """Yield a warning if a version, which its project does not declare, looks guessed in a shallow checkout."""
    checkout = next((each for each in (folder, *folder.parents) if (each / ".git").exists()), folder)
    if _GUESSED.fullmatch(version) and (checkout / ".git/shallow").is_file():
        yield (
            f"{name} {version} may have a guessed version: the checkout is shallow, so that version tools find no tag. "
            "Set `fetch-depth: 0` for actions/checkout, or run `git fetch --unshallow --tags`."
        )


class _Git:
    """Reads a checkout without starting programs of its configuration: gar-publish may be root, and its author not."""

    def __init__(self, root: Path, environment: Mapping[str, str]) -> None:
        self._environment = {name: environment[name] for name in _HANDED_ON if name in environment} | {
            "GIT_ALLOW_PROTOCOL": "none",  # do not fetch missing objects
        }
        self._settings = {"safe.directory": "*", "core.fsmonitor": "false", "core.hooksPath": os.devnull}
        self.top = root
        nowhere = BadInput(
            f"{root} is not in a git checkout, so its changes are unknown.",
            cause="the source has no .git folder, or was not checked out",
            fix="check the source out with git (actions/checkout), or remove `--changed-since`",
            anchor="no-checkout",
        )
        self.top = Path(self.ask("rev-parse", "--show-toplevel", otherwise=nowhere).removesuffix("\n")).resolve()
        filters = self.ask("config", "--name-only", "-z", "--get-regexp", r"^filter\.").split("\0")[:-1]
        self._settings |= {name: "false" if name.endswith(".required") else "" for name in filters}

    def commit(self, name: str) -> str:
        """Return the hash of a commit, a branch or a tag."""
        unknown = self.unknown(name)
        if name.startswith("-"):
            raise unknown
        return self.ask("rev-parse", "--verify", name + "^{commit}", otherwise=unknown).strip()

    def unknown(self, name: str) -> BadInput:
        return BadInput(
            f"git cannot compare the checkout {self.top} with {name!r}.",
            cause=f"{name!r} does not exist or has no commit in common with HEAD, or the checkout is shallow, which is "
            "the default of actions/checkout",
            fix="set `fetch-depth: 0` for actions/checkout, or fetch the whole history\n  git fetch --unshallow",
            anchor="unknown-ref",
        )

    def differing_files(self, since: str) -> Iterator[Path]:
        """Yield the files that were changed, added or removed, and untracked files that git does not ignore."""
        unknown = self.unknown(since)
        base = self.ask("merge-base", self.commit(since), "HEAD", otherwise=unknown).strip()
        options = ("-z", "--name-only", "--no-renames", "--no-relative", "--no-ext-diff", "--no-textconv")
        index = self.top / self.ask("rev-parse", "--git-path", "index").removesuffix("\n")
        with tempfile.TemporaryDirectory(prefix="gar-publish-") as scratch:
            if index.is_file():  # git updates its index, so it gets a copy
                self._environment["GIT_INDEX_FILE"] = shutil.copy(index, scratch)
            tracked = self.ask("diff", *options, "--ignore-submodules=dirty", base, "--", otherwise=unknown)
            untracked = self.ask("ls-files", "-z", "--others", "--exclude-standard", otherwise=unknown)
        yield from (self.top / name for name in tracked.split("\0")[:-1])
        # gar-publish leaves copies of built files in `dist`.
        yield from (file for name in untracked.split("\0")[:-1] if (file := self.top / name).parent.name != "dist")

    def ask(self, *arguments: str, otherwise: BadInput | None = None) -> str:
        """Return the output of git.

        Args:
            arguments: The arguments of git.
            otherwise: Raised if git fails.
        """
        settings = {"GIT_CONFIG_COUNT": str(len(self._settings))}
        for number, (name, value) in enumerate(self._settings.items()):
            settings |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
        command, environment = ["git", "--no-pager", *arguments], self._environment | settings
        try:
            done = subprocess.run(command, cwd=self.top, env=environment, capture_output=True, check=False)
        except OSError as error:
            raise BadInput(
                f"Cannot run git: {error.strerror}.",
                fix="install git and make sure that it is on PATH, or remove `--changed-since`",
                anchor="no-checkout",
            ) from None
        if done.returncode and otherwise:
            otherwise.detail = os.fsdecode(done.stderr)
            raise otherwise
        return os.fsdecode(done.stdout)
