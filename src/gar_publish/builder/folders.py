"""The folder of root's builds, and the folders that are shut meanwhile (Linux)."""

import contextlib
import fcntl
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path

from gar_publish.builder.templates import HOOK_SCRIPT, TEMPLATE_SCRIPT
from gar_publish.errors import BuildFailure

FOLDER = Path("/srv/gar-publish")
"""No other user can put a file above it. Usual `.gitignore` files name no folder of it: hatchling would use none."""

_LONGEST_REMOVAL = 30
_RUNNERS_FILES = ("WORKSPACE", "ENV", "OUTPUT", "PATH", "STATE", "STEP_SUMMARY", "EVENT_PATH")


@contextlib.contextmanager
def folder_for_builds() -> Iterator[Path]:
    """Make a folder that no other run uses, and remove it afterwards.

    What writes to the folder with root's rights inherits its lock (`close_fds=False`): if this run is killed, the next
    one takes another folder until that program has ended, too.

    Raises:
        BuildFailure: It cannot be made.
    """
    try:
        FOLDER.mkdir(parents=True, exist_ok=True)
        FOLDER.chmod(0o711)  # whatever the umask
        folder = next(each for number in count(1) if _is_locked(each := FOLDER / str(number)))
        remove(folder)
        folder.mkdir()
        folder.chmod(0o711)
    except OSError as error:
        raise BuildFailure(
            f"No folder could be made in {FOLDER}, where root's builds run.",
            fix="mount a folder there that root can write to",
            anchor="build-folder",
            detail=str(error),
        ) from error
    try:
        yield folder
    finally:
        remove(folder)


def remove(folder: Path) -> None:
    """Remove a folder of untrusted code: however deep it is, without following a link, and not without end.

    Another build may hold a folder in it open, and fill it faster than it is emptied.
    """
    with contextlib.suppress(subprocess.TimeoutExpired):
        command = ["/bin/rm", "-rf", "--", str(folder)]
        subprocess.run(
            command, env={}, stderr=subprocess.DEVNULL, close_fds=False, check=False, timeout=_LONGEST_REMOVAL
        )


def _is_locked(folder: Path) -> bool:
    """Return whether this process could lock a folder. It keeps the lock: a thread may still remove files there."""
    lock = os.open(folder.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return False
    os.set_inheritable(lock, True)  # noqa: FBT003 - it takes no keyword
    return True


def shut(environment: Mapping[str, str], scratch: Path) -> Callable[[], None]:
    """Keep builds out of the folders above the workspace and the runner's files. Return what opens them again.

    In a container action they are mounted below `/github`, and every user may read them. The workspace may have the
    token of actions/checkout; newer versions keep it in the runner's temporary folder. Elsewhere nothing is shut.
    """
    needed = [scratch, Path(sys.executable), Path(sys.prefix), Path(sys.base_prefix), HOOK_SCRIPT, TEMPLATE_SCRIPT]
    files = [Path(environment[f"GITHUB_{name}"]) for name in _RUNNERS_FILES if environment.get(f"GITHUB_{name}")]
    modes: dict[Path, int] = {}
    for folder in {file.resolve().parent for file in files}:
        if not any(path.resolve().is_relative_to(folder) for path in needed) and folder.is_dir():
            modes[folder] = stat.S_IMODE(folder.stat().st_mode)
            folder.chmod(0o700)

    def open_again() -> None:
        for folder, mode in modes.items():
            folder.chmod(mode)

    return open_again
