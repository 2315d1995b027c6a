"""Leave copies of distributions in the projects' `dist` folders."""

import contextlib
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from gar_publish.console import Console


def leave(file: Path, dist: Path, console: Console) -> bool:
    """Leave a copy for later steps, with the owner of the project folder. Return False, with a warning, if that fails.

    No link is followed and no file is overwritten in place: gar-publish may be root, in a folder that others can write
    to. The copy gets its name when it is complete, so that no later step publishes half of it.
    """
    unfinished = f".gar-publish-{secrets.token_hex(8)}"
    try:
        if sys.platform == "win32":
            dist.mkdir(exist_ok=True)
            with _removed_after_failure(dist / unfinished):
                shutil.copyfile(file, dist / unfinished)
                (dist / unfinished).replace(dist / file.name)
            return True
        owner = dist.parent.stat()
        made = not dist.is_symlink() and not dist.exists()
        dist.mkdir(exist_ok=True)
        folder = os.open(dist, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if made and os.geteuid() == 0:
                os.fchown(folder, owner.st_uid, owner.st_gid)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with _removed_after_failure(unfinished, folder):
                with (
                    file.open("rb") as source,
                    os.fdopen(os.open(unfinished, flags, 0o644, dir_fd=folder), "wb") as target,
                ):
                    shutil.copyfileobj(source, target, 1024 * 1024)
                    if os.geteuid() == 0:
                        os.fchown(target.fileno(), owner.st_uid, owner.st_gid)
                os.rename(unfinished, file.name, src_dir_fd=folder, dst_dir_fd=folder)
        finally:
            os.close(folder)
    except OSError as error:
        console.warning(f"No copy of {file.name} was left in {dist}: {error.strerror}.")
        return False
    return True


@contextlib.contextmanager
def _removed_after_failure(file: str | Path, folder: int | None = None) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(file, dir_fd=folder)
        raise
