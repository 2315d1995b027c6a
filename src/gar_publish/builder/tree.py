"""The source trees of root's builds: a copy of the workspace, or a tree for each of several projects made from it.

A project may read files beside it, and git's tags above it: so a build gets all of the workspace, but for what
`left_out` has. It owns all folders of its tree, and the files in its own folder. Other files belong to root, and are
hard links to the copy where there are several trees. So the project can add, replace and remove files anywhere in its
tree, and write to those in its own folder alone.
"""

import contextlib
import os
import re
import stat
from collections import defaultdict
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from itertools import count, islice
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from gar_publish.builder.folders import remove
from gar_publish.copies import copy_file, copy_files
from gar_publish.projects import git_folder

_SECRET_FILES = (
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_GHA_CREDS_PATH",
    "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE",
)
_CREDENTIALS = re.compile(r"gha-creds-.*\.json")
_PUBLISHED = re.compile(r".*(\.whl|\.tar\.gz|\.cdx\.json|\.intoto\.json)")
_CACHE = b"Signature: 8a477f597d28d172789f06886806bc55"  # https://bford.info/cachedir
_BARE = {"HEAD", "objects", "refs"}
_URLS_OF_BARE = {"FETCH_HEAD", "config.worktree", "logs"}
_MOST_FILES = 20_000  # and folders of a copy that are linked for each project; each takes 20 microseconds
_MOST_AT_ONCE = 100_000  # files to be copied, whose paths are in memory
_LONGEST_PATH = 3500  # bytes; Linux allows 4096, and trees have longer paths than the workspace


class _Folder(NamedTuple):
    """A folder of a copy: its path in it, its times, the names of its folders, and the inodes of all else."""

    path: str
    times: tuple[int, int]
    folders: set[str]
    files: Mapping[str, int]


class Trees:
    """The trees of one run. Threads may share it.

    Args:
        workspace: The folder that the run works in, resolved.
        projects: The folders of the projects, resolved.
        copies: A folder for the copies, which only root can enter.
        environment: All variables that gar-publish was started with.
    """

    def __init__(self, workspace: Path, projects: Sequence[Path], copies: Path, environment: Mapping[str, str]) -> None:
        self.left_out: dict[Path, str] = {}
        """What the copies and the trees do not have, and why."""
        self._workspace = workspace
        self._projects = {str(each) for each in projects}
        self._copies = copies
        self._home = Path(environment["HOME"]).resolve() if environment.get("HOME") else None
        self._secrets = {str(Path(environment[each]).resolve()) for each in _SECRET_FILES if environment.get(each)}
        self._made: dict[Path, tuple[Path, list[_Folder]]] = {}
        self._spare = defaultdict[Path, list[Path]](list)
        self._numbers = count()
        self._lock = Lock()

    def make(self, project: Path, folder: Path, user: int) -> Path:
        """Make the tree of a project in a new folder, and return the project's own folder in it.

        Raises:
            OSError, ValueError: A file could not be copied.
        """
        root = root_of(project, self._workspace, self._home)
        folder.mkdir(mode=0o700)  # nobody may enter it until it is done
        tree = folder / (root.name or "source")
        own = _inside(root, project)
        if len(self._projects) == 1:
            self._copy(root, tree)
            _give(tree, own, user)
        else:
            self._link(root, tree, own, user)
        folder.chmod(0o711)
        return tree / own

    def _link(self, root: Path, tree: Path, own: str, user: int) -> None:
        """Make one of several trees from a copy that they share."""
        odd = self._copies / str(next(self._numbers))
        odd.mkdir()
        with self._lock:
            if root not in self._made:
                self._made[root] = self._shared(root)
            copy, contents = self._made[root]
            spare = self._spare[root].pop() if self._spare[root] else None
        try:
            if spare:
                spare.rename(tree)
            _equip(str(tree), str(copy), contents, own, user, odd=odd)
        except OSError:
            _set_aside(str(tree), odd)
            _equip(str(tree), str(copy), contents, own, user, odd=odd)
        remove(odd)

    def take_back(self, project: Path, folder: Path) -> None:
        """Keep what `make` made, for another project. No process of its user may be left."""
        if len(self._projects) == 1:
            return
        root = root_of(project, self._workspace, self._home)
        spare = self._copies / str(next(self._numbers))
        with contextlib.suppress(OSError):
            (folder / (root.name or "source")).rename(spare)
            with self._lock:
                self._spare[root].append(spare)

    def _shared(self, root: Path) -> tuple[Path, list[_Folder]]:
        """Copy a folder for several projects. Return the copy, and what of it their trees get."""
        copy = self._copies / str(next(self._numbers))
        count = self._copy(root, copy)
        tracked = git_folder.tracked(copy) if count > _MOST_FILES else frozenset[str]()
        if not tracked:
            return copy, list(_contents(copy, (), [""]))
        self.left_out[root] = f"it has {count} files, so a build gets those that git tracks, and the projects' folders"
        inside = [_inside(root, Path(each)) for each in self._projects if Path(each).is_relative_to(root)]
        return copy, list(_contents(copy, tracked, inside))

    def _copy(self, root: Path, copy: Path) -> int:
        """Copy a folder to a new one. Return how many files and folders it has."""
        count = 0
        files: list[tuple[str, str]] = []
        times: list[tuple[str, os.stat_result]] = []
        waiting = [(str(root), str(copy))]
        while waiting:
            here, there = waiting.pop()
            entries = self._entries(here, str(root))
            if entries is None:
                continue
            os.mkdir(there, 0o700)
            times.append((there, os.stat(here)))
            count += len(entries)
            is_bare = {entry.name for entry in entries} >= _BARE
            for entry in entries:
                source, target = entry.path, f"{there}/{entry.name}"
                if entry.name == ".git":
                    self._copy_git(Path(source), Path(target), is_top=here == str(root))
                elif is_bare and entry.name == "config":
                    git_folder.copy_config([Path(source)], Path(target))
                elif entry.is_symlink():
                    os.symlink(_relative(os.readlink(source), here, str(root)), target)
                elif entry.is_dir():
                    waiting.append((source, target))
                else:
                    files.append((source, target))
            if len(files) > _MOST_AT_ONCE:
                copy_files(files)
                files.clear()
        copy_files(files)
        for folder, status in reversed(times):
            os.utime(folder, ns=(status.st_atime_ns, status.st_mtime_ns))
        return count

    def _copy_git(self, source: Path, target: Path, *, is_top: bool) -> None:
        try:
            git_folder.copy(source, target, self._workspace)
        except ValueError as error:
            if is_top:
                raise
            self.left_out[source] = str(error)

    def _entries(self, folder: str, root: str) -> "list[os.DirEntry[str]] | None":
        """Return what is copied of a folder; None if all of it is left out."""
        if len(os.fsencode(folder)) > _LONGEST_PATH:
            self.left_out[Path(folder)] = "its path is too long"
            return None
        with os.scandir(folder) as found:
            entries = list(found)
        kind = _generated(folder, {entry.name for entry in entries})
        if kind and not any(f"{each}/".startswith(f"{folder}/") for each in (root, *self._projects)):
            self.left_out[Path(folder)] = f"it is {kind}"
            return None
        has_urls = _URLS_OF_BARE if {entry.name for entry in entries} >= _BARE else set[str]()
        kept = [each for each in entries if not self._is_secret(each) and each.name not in has_urls]
        parent, name = os.path.split(folder)
        if name != "dist" or parent not in self._projects:
            return kept
        others = [each for each in kept if not _PUBLISHED.fullmatch(each.name)]
        return others or None

    def _is_secret(self, entry: "os.DirEntry[str]") -> bool:
        is_secret = _CREDENTIALS.fullmatch(entry.name) is not None or entry.path in self._secrets
        if is_secret:
            self.left_out[Path(entry.path)] = "it has credentials"
        return is_secret


def _generated(folder: str, names: set[str]) -> str:
    """Return what a folder of files that no build needs is; empty for others."""
    if "pyvenv.cfg" in names and any(os.path.lexists(f"{folder}/{each}") for each in ("bin/python", "Scripts")):
        return "a virtual environment"
    tag = Path(folder, "CACHEDIR.TAG")
    if "CACHEDIR.TAG" in names and tag.is_file() and tag.read_bytes()[: len(_CACHE)] == _CACHE:
        return "a cache"
    return ""


def root_of(project: Path, workspace: Path, home: Path | None) -> Path:
    """Return what the build of a project may read: its checkout, or the workspace if that is larger.

    A folder that contains the user's home (for settings) is never taken. git is not asked: run as root in another
    user's checkout, it would refuse or obey the checkout's settings. For a submodule, the checkout above it is taken.
    """
    above = (project, *project.parents)
    private = {home, *home.parents} if home else {above[-1]}
    checkouts = [each for each in above if (each / ".git").exists() and each not in private]
    checkout = next((each for each in checkouts if (each / ".git").is_dir()), (*checkouts, project)[0])
    is_larger = workspace in checkout.parents and workspace not in private
    return workspace if is_larger else checkout


def _give(tree: Path, own: str, user: int) -> None:
    """Make the user the owner of all folders of a tree, and of the files in `own`."""
    for path, _, _, files in _contents(tree, (), [""]):
        for name in ("", *files) if f"{path}/".startswith(own) else ("",):
            os.chown(tree / path / name, user, user, follow_symlinks=False)


def _contents(copy: Path, only: Container[str], projects: Collection[str]) -> Iterator[_Folder]:
    """Yield the folders of a copy, each after those above it: what `only` has, git's folder, and the projects' own."""

    def is_kept(path: str) -> bool:
        is_near = any(f"{path}/".startswith(each) or each.startswith(f"{path}/") for each in projects)
        return is_near or path in only or path.startswith(".git/")

    waiting = [""]
    while waiting:
        path = waiting.pop()
        folders, files = set[str](), dict[str, int]()
        with os.scandir(copy / path) as found:
            for entry in found:
                inside = f"{path}/{entry.name}".lstrip("/")
                if not is_kept(inside):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.add(entry.name)
                    waiting.append(inside)
                else:
                    files[entry.name] = entry.inode()
        status = os.stat(copy / path)
        yield _Folder(path, (status.st_atime_ns, status.st_mtime_ns), folders, files)


def _equip(tree: str, copy: str, contents: Sequence[_Folder], own: str, user: int, *, odd: Path) -> None:
    """Make a tree of hard links to a copy, with folders, and the files in `own`, that belong to the user.

    The tree may be that of an ended build: what is as it should be in it is used again, and the rest goes to `odd`.
    """
    for path, _, folders, files in contents:
        source, target = f"{copy}/{path}".rstrip("/"), f"{tree}/{path}".rstrip("/")
        is_own = f"{path}/".startswith(own)
        inodes = _claim(target, folders | files.keys(), odd, again=not is_own)
        for name, inode in files.items():
            if inodes.get(name) == inode:
                continue
            if is_own and not os.path.islink(f"{source}/{name}"):
                copy_file(f"{source}/{name}", f"{target}/{name}")
                os.chown(f"{target}/{name}", user, user)
                continue
            if name in inodes:
                os.unlink(f"{target}/{name}")
            os.link(f"{source}/{name}", f"{target}/{name}", follow_symlinks=False)
    for path, times, _, _ in reversed(contents):
        os.utime(f"{tree}/{path}".rstrip("/"), ns=times, follow_symlinks=False)
        os.chown(f"{tree}/{path}".rstrip("/"), user, user, follow_symlinks=False)


def _claim(folder: str, names: Collection[str], odd: Path, *, again: bool) -> dict[str, int]:
    """Make a folder, or take that of an ended build, and return the inodes in it.

    Any user may own it, and hold it open: another build that is still running may have made it there. So it is given to
    root before it is looked at, and nobody else can enter it afterwards. All folders above it are done already: nobody
    can put a link in its place. One that has other names or an access control list is set aside, and made anew.
    """
    with contextlib.suppress(FileNotFoundError):
        if again and stat.S_ISDIR(os.lstat(folder).st_mode):
            os.chown(folder, os.geteuid(), os.getegid(), follow_symlinks=False)
            os.chmod(folder, 0o700)
            with os.scandir(folder) as found:
                inodes = {each.name: each.inode() for each in islice(found, len(names) + 1)}
            if inodes.keys() <= set(names) and all(each.startswith("security.") for each in os.listxattr(folder)):
                return inodes
        _set_aside(folder, odd)
    os.mkdir(folder, 0o700)
    return {}


def _set_aside(path: str, odd: Path) -> None:
    """Move a file or folder. It cannot be removed at once: another build may hold it open, and fill it meanwhile."""
    os.rename(path, odd / str(os.lstat(path).st_ino))


def _inside(root: Path, project: Path) -> str:
    """Return the path of a project in a root, with a slash at its end; nothing for the root itself."""
    return "" if project == root else f"{project.relative_to(root)}/"


def _relative(link: str, folder: str, root: str) -> str:
    """Return a link's target so that it leads to the same file of the copy, not to the workspace."""
    is_inside = os.path.commonpath([root, link]) == root if os.path.isabs(link) else False
    return os.path.relpath(link, folder) if is_inside else link
