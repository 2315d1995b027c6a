"""The copy of the source that a build works on when it runs as another user."""

import re
import shutil
from collections.abc import Collection
from pathlib import Path

from gar_publish.errors import BuildFailure


def top(folder: Path) -> Path:
    """The git checkout that a project is part of (a version may come from its tags), else the project itself.

    Found without git: run as root on a foreign checkout, git would refuse ("dubious ownership") or obey its
    settings. A `.git` file points elsewhere: for a submodule, to the checkout above, which is then taken.
    """
    candidates = [parent for parent in (folder, *folder.parents) if (parent / ".git").exists()]
    return next((parent for parent in candidates if (parent / ".git").is_dir()), (*candidates, folder)[0])


def copy(source: Path, target: Path, *, leave_out: Collection[Path]) -> None:
    """Copy a source tree, without the credentials that other steps may have left in it.

    Left out: the files that google-github-actions/auth writes (`gha-creds-*.json`), `leave_out`, and anything
    that is neither file, folder nor link. Symbolic links stay links: where one leads outside, the build may
    go there only with its own rights.

    Args:
        source: The tree, resolved.
        target: A folder that does not exist yet.
        leave_out: Resolved paths of files that hold credentials.

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
            fix="Check the free space of the temporary folder (TMPDIR), and that the source can be read.",
            anchor="source-not-copied",
            detail=str(error),
        ) from error
    for config in (target / ".git").rglob("config*"):
        if config.is_file() and not config.is_symlink():
            config.write_bytes(without_credentials(config.read_bytes()))


def without_credentials(git_config: bytes) -> bytes:
    """A git configuration without the credentials that checkout steps put there.

    actions/checkout writes an `extraheader` with a token; others put user and password into a remote's URL.
    """
    lines = [line for line in git_config.splitlines(keepends=True) if b"extraheader" not in line.lower()]
    return re.sub(rb"(\w+://)[^/@\s]+@", rb"\1", b"".join(lines))
