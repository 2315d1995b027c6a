"""What a build has made, taken out of its reach, with a copy for later steps."""

import contextlib
import os
import shutil
import sys
from pathlib import Path

from gar_publish.build.sandbox import open_regular
from gar_publish.console import Console


def take(file: Path, folder: Path) -> Path:
    """Copy a file that a backend made to where the backend cannot change it."""
    copy = folder / file.name
    with open_regular(file) as stream, copy.open("xb") as target:
        shutil.copyfileobj(stream, target, 1024 * 1024)
    return copy


def leave(file: Path, dist: Path, console: Console) -> bool:
    """Leave a copy for later steps, as the project folder's owner would have made it.

    Nothing is followed and nothing overwritten in place: gar-publish may be root in a folder that others
    write.

    Returns:
        Whether it is there; if not, that was said.
    """
    try:
        if sys.platform == "win32":
            dist.mkdir(exist_ok=True)
            shutil.copyfile(file, dist / file.name)
            return True
        owner = dist.parent.stat()
        made = not dist.is_symlink() and not dist.exists()
        dist.mkdir(exist_ok=True)
        folder = os.open(dist, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if made and os.geteuid() == 0:
                os.fchown(folder, owner.st_uid, owner.st_gid)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(file.name, dir_fd=folder)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with (
                file.open("rb") as source,
                os.fdopen(os.open(file.name, flags, 0o644, dir_fd=folder), "wb") as target,
            ):
                shutil.copyfileobj(source, target, 1024 * 1024)
                if os.geteuid() == 0:
                    os.fchown(target.fileno(), owner.st_uid, owner.st_gid)
        finally:
            os.close(folder)
    except OSError as error:
        console.warning(f"No copy of {file.name} was left in {dist}: {error.strerror}.")
        return False
    return True
