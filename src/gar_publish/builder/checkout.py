"""Copy the source for a build that runs as another user."""

import os
import re
import shutil
import stat
from collections.abc import Collection, Mapping
from pathlib import Path
from threading import Lock

from gar_publish.errors import BuildFailure

_SECRET_FILES = (
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_GHA_CREDS_PATH",
    "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE",
)


class Checkouts:
    """The copies of checkouts for the builds of one run.

    Args:
        scratch: A folder of this run that only gar-publish can write to.
        environment: All variables that gar-publish was started with.
    """

    def __init__(self, scratch: Path, environment: Mapping[str, str]) -> None:
        self._scratch = scratch
        self._secrets = frozenset(Path(environment[name]).resolve() for name in _SECRET_FILES if environment.get(name))
        self._home = environment.get("HOME")
        self._copies: dict[Path, Path] = {}
        self._lock = Lock()

    def place(self, folder: Path) -> Path:
        """Return the folder in the copy of its checkout; copy the checkout the first time."""
        with self._lock:
            checkout = top(folder, home=self._home)
            if checkout not in self._copies:
                place = self._scratch / f"source-{len(self._copies)}" / (checkout.name or "source")
                place.parent.mkdir(mode=0o700)
                copy(checkout, place, leave_out=self._secrets)
                place.parent.chmod(0o755)
                self._copies[checkout] = place
            return self._copies[checkout] / folder.relative_to(checkout)


def top(folder: Path, *, home: str | None = None) -> Path:
    """Return the git checkout of a project, whose tags may give the version; without one, the project itself.

    git is not used: run as root in another user's checkout, it would refuse ("dubious ownership") or obey the
    checkout's settings. A `.git` file points to another folder: for a submodule, the checkout above it is taken. A
    checkout that contains the user's home (for settings) is never taken: its files are not for a build.
    """
    private = {Path(home).resolve(), *Path(home).resolve().parents} if home else set()
    candidates = [
        parent for parent in (folder, *folder.parents) if (parent / ".git").exists() and parent not in private
    ]
    return next((parent for parent in candidates if (parent / ".git").is_dir()), (*candidates, folder)[0])


def copy(source: Path, target: Path, *, leave_out: Collection[Path]) -> None:
    """Copy a source tree, without the credentials that other steps may have left in it.

    It leaves out the files of google-github-actions/auth (`gha-creds-*.json`), `leave_out`, and anything that is not a
    file, a folder or a link. Symbolic links stay links: the build follows them with its own rights.

    Args:
        source: The tree, resolved.
        target: A folder that does not exist yet.
        leave_out: Resolved paths of files with credentials.

    Raises:
        BuildFailure: A file could not be copied.
    """

    def ignored(folder: str, names: list[str]) -> set[str]:
        return {name for name in names if re.fullmatch(r"gha-creds-.*\.json", name) or Path(folder, name) in leave_out}

    def copy_file(file: str, to: str) -> None:
        if Path(file).is_file():
            shutil.copy2(file, to)

    try:
        shutil.copytree(source, target, symlinks=True, ignore=ignored, copy_function=copy_file)
    except (OSError, shutil.Error) as error:
        raise BuildFailure(
            f"The source in {source} could not be copied for the build.",
            fix="check the free space of the temporary folder (TMPDIR), and that the source can be read",
            anchor="source-not-copied",
            detail=str(error),
        ) from error
    for folder in target.rglob(".git"):
        for config in folder.rglob("config*"):
            if config.is_file() and not config.is_symlink():
                config.write_bytes(without_credentials(config.read_bytes()))
    _open_to_all(target)


def _open_to_all(folder: Path) -> None:
    """Let every user read a tree, whatever the umask was when it was checked out."""
    for parent, folders, files in os.walk(folder):
        for path in (Path(parent, name) for name in (".", *folders, *files)):
            if not path.is_symlink():
                mode = path.stat().st_mode
                path.chmod(stat.S_IMODE(mode) | 0o444 | (0o111 if mode & 0o100 else 0))


_KEPT = re.compile(
    rb"""\[(core|extensions|remote\ "[^"]*"|branch\ "[^"]*")\] |
    \s*(repositoryformatversion|bare|filemode|ignorecase|precomposeunicode|symlinks|worktree|objectformat|merge|
    logallrefupdates|remote|fetch|partialclonefilter|promisor|refstorage)\s*=\s*[^\\\s]+""",
    re.VERBOSE | re.IGNORECASE,
)
_SCP = re.compile(rb"\s*url\s*=\s*[\w.-]+@[\w.-]+:[^\\\s:@]+", re.IGNORECASE)
_URL = re.compile(rb"(\s*url\s*=\s*\w+://)(?:\S*@)?([^\\\s@]+)", re.IGNORECASE)


def without_credentials(git_config: bytes) -> bytes:
    """Return a git configuration reduced to what a checkout needs and the URLs of its remotes.

    actions/checkout writes an `extraheader` with a token, or includes a file that has one. Others put a password into
    a remote's URL, a helper or a proxy.
    """
    kept = []
    for line in git_config.splitlines():
        if url := _URL.fullmatch(line):
            kept.append(url[1] + url[2])
        elif _KEPT.fullmatch(line) or _SCP.fullmatch(line):
            kept.append(line)
    return b"".join(line + b"\n" for line in kept)
