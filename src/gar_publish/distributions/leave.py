"""Leave copies of distributions in the projects' `dist` folders."""

import contextlib
import os
import shutil
import sys
from pathlib import Path

from gar_publish.console import Console


def leave(file: Path, dist: Path, console: Console) -> bool:
    """Leave a copy for later steps, with the owner of the project folder. Return False, with a warning, if that fails.

    No link is followed and no file is overwritten in place: gar-publish may be root, in a folder that others can write
    to.
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
