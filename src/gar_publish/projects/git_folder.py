"""Copy git folders without credentials, for the version tools of builds.

actions/checkout writes a token into a git folder, or includes a file that has one; people put passwords into the URLs
of remotes. So files, sections and keys are kept by name, and everything else is left out.
https://git-scm.com/docs/gitrepository-layout
"""

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from gar_publish.copies import copy_file

_FILES = ("HEAD", "packed-refs", "shallow", "info/attributes", "info/exclude", "info/grafts", "info/sparse-checkout")
_FOLDERS = {
    "refs": re.compile(r".*"),
    "reftable": re.compile(r"[\w.-]+\.(ref|log|list)|tables\.list"),
    "objects": re.compile(
        r"[0-9a-f]{2}/[0-9a-f]{38,62}|pack/pack-[0-9a-f]+\.\w+|pack/multi-pack-index.*|info/(packs|commit-graph.*)"
        r"|info/commit-graphs/.*"
    ),
}
_MOST_ALTERNATES = 5
_HEADER = re.compile(r'\[\s*(?P<name>[\w-]+)(?:\s+"(?P<of>[^"\\]*)")?\s*\]')
_ENTRY = re.compile(r"(?P<key>[\w-]+)\s*=\s*(?P<value>[^\\\"#;]*)")
_KEYS = {
    "core": "repositoryformatversion bare filemode ignorecase precomposeunicode symlinks logallrefupdates autocrlf eol "
    "safecrlf abbrev sparsecheckout sparsecheckoutcone",
    "extensions": "objectformat refstorage",
    "remote": "url fetch",
    "branch": "merge remote",
}
_REMOTE_NAME = re.compile(r"[\w.-]+")
_URL = re.compile(r"(\w+://)(?:.*@)?([^?#@]*)(?:[?#].*)?")
_SCP_URL = re.compile(r"[\w.-]+@[\w.-]+:[^:@?#]+")


def copy(source: Path, target: Path, workspace: Path) -> None:
    """Copy the `.git` of a checkout to a new folder. Worktrees and submodules, which have a file, get a folder too.

    Git folders outside of the workspace are copied only for worktrees.

    Raises:
        OSError: A file could not be read or written.
        ValueError: Objects are outside of the workspace; nothing was copied.
    """
    own = source.resolve() if source.is_dir() else _linked(source, workspace)
    if source.is_symlink() and own and not own.is_relative_to(workspace.resolve()):
        return
    if own is None:
        return
    common = own if source.is_dir() else _common(own)
    alternates = list(_alternates(common / "objects", workspace.resolve()))
    target.mkdir()
    for name in ("objects", "refs"):
        (target / name).mkdir()
    for name in _FILES:
        _copy_file(own if name == "HEAD" or (own / name).exists() else common, target, name)
    for folder, names in _FOLDERS.items():
        _copy_folder(common / folder, target / folder, names)
    if own != common:
        _copy_folder(own / "refs", target / "refs", _FOLDERS["refs"])
    for objects in alternates:
        _copy_folder(objects, target / "objects", _FOLDERS["objects"])
    for index in (own / "index", *own.glob("sharedindex.*")):
        if _is_file(index):
            copy_file(str(index), str(target / index.name))
            # git reads the content of files that are as new as its index, and finds other content behind filters.
            os.utime(target / index.name)
    copy_config([common / "config", own / "config.worktree"], target / "config")


def tracked(copied: Path) -> frozenset[str]:
    """Return the files that git tracks in a copied checkout, their folders, and `.git`; nothing if it is not one."""
    command = ["git", "-C", str(copied), "ls-files", "-z"]
    quiet = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "PATH": os.defpath}
    try:
        done = subprocess.run(command, env=quiet, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return frozenset()
    files = os.fsdecode(done.stdout).split("\0")
    folders = {file[:at] for file in files for at, letter in enumerate(file) if letter == "/"}
    return frozenset({*files, *folders, ".git"})


def copy_config(sources: Sequence[Path], target: Path) -> None:
    """Copy the configuration of a git folder, from one or several files."""
    text = clean_config("\n".join(map(_read, sources)))
    target.write_bytes(text.encode("utf-8", "surrogateescape"))
    target.chmod(0o644)


def clean_config(text: str) -> str:
    """Return what a checkout needs of a git configuration. URLs lose their credentials."""
    kept: list[str] = []
    section = ""
    for line in map(str.strip, text.splitlines()):
        if header := _HEADER.fullmatch(line):
            is_safe = header["name"].lower() != "remote" or _REMOTE_NAME.fullmatch(header["of"] or "")
            section = header["name"].lower() if is_safe else ""
            if section in _KEYS:
                kept.append(line)
        elif (entry := _ENTRY.fullmatch(line)) and entry["key"].lower() in _KEYS.get(section, "").split():
            key, value = entry["key"].lower(), entry["value"].strip()
            if key == "url":
                value = _without_credentials(value)
            if key != "remote" or _REMOTE_NAME.fullmatch(value):
                kept.append(f"\t{key} = {value}")
        elif line.startswith("[") or line.endswith("\\"):
            section = ""  # another section; or what follows belongs to this line, whatever it looks like
    return "".join(f"{line}\n" for line in kept)


def _without_credentials(url: str) -> str:
    if parts := _URL.fullmatch(url):
        return parts[1] + parts[2]
    return url if _SCP_URL.fullmatch(url) else "removed"


def _linked(file: Path, workspace: Path) -> Path | None:
    """Return the git folder that a `.git` file names, if it is that of this worktree or submodule.

    https://git-scm.com/docs/gitrepository-layout#Documentation/gitrepository-layout.txt-worktrees
    """
    text = _read(file)
    if not text.startswith("gitdir: "):
        return None
    folder = (file.parent / text.removeprefix("gitdir: ").rstrip("\n")).resolve()
    back = _read(folder / "gitdir").rstrip("\n")
    if back:
        return folder if (folder / back).resolve() == file.resolve() else None
    is_submodule = "modules" in folder.parts and folder.is_relative_to(workspace.resolve())
    return folder if is_submodule else None


def _common(folder: Path) -> Path:
    """Return the folder that worktrees share."""
    common = _read(folder / "commondir").rstrip("\n")
    return (folder / common).resolve() if common else folder


def _alternates(objects: Path, workspace: Path) -> Iterator[Path]:
    """Yield the other folders in the workspace that objects are in (`git clone --reference`)."""
    waiting = [objects]
    for _ in range(_MOST_ALTERNATES):
        for line in _read(waiting.pop() / "info/alternates").splitlines() if waiting else ():
            waiting.append((objects / line).resolve())
            if not waiting[-1].is_relative_to(workspace):
                raise ValueError(f"{objects}/info/alternates leads out of the workspace")
            yield waiting[-1]


def _copy_folder(source: Path, target: Path, names: re.Pattern[str]) -> None:
    for here, _, files in () if source.is_symlink() else os.walk(source):
        inside = os.path.relpath(here, source)
        copies = {f"{here}/{name}": os.path.normpath(f"{inside}/{name}") for name in files}
        copies = {each: f"{target}/{copy}" for each, copy in copies.items() if names.fullmatch(copy)}
        if copies:
            (target / inside).mkdir(parents=True, exist_ok=True)
        for each, copy in copies.items():
            if not os.path.lexists(copy):
                copy_file(each, copy)


def _copy_file(source: Path, target: Path, name: str) -> None:
    if _is_file(source / name) and not (source / name).parent.is_symlink():
        (target / name).parent.mkdir(exist_ok=True)
        copy_file(str(source / name), str(target / name))


def _is_file(file: Path) -> bool:
    return file.is_file() and not file.is_symlink()


def _read(file: Path) -> str:
    if not _is_file(file):
        return ""
    return file.read_text(encoding="utf-8", errors="surrogateescape")
