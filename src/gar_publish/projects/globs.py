"""Find the files and folders that globs match."""

import glob
import os
from collections.abc import Iterator
from pathlib import Path


def is_glob(pattern: str, root: Path) -> bool:
    """Return whether a pattern is a glob and not the name of an existing file or folder."""
    return glob.has_magic(pattern) and not (root / pattern).exists()


def matches(pattern: str, root: Path) -> list[Path]:
    """Return what a glob matches, sorted; hidden files and folders only if the glob begins with a dot there."""
    # Path.glob refuses absolute patterns and enters hidden folders.
    return [root / match for match in sorted(glob.glob(pattern, root_dir=root, recursive=True))]  # noqa: PTH207 - see above


def folders(pattern: str, root: Path) -> list[Path]:
    """Return the folders that a glob matches, sorted. `**` skips folders of installed packages."""
    before, after = _halves(pattern)
    if after is None:
        return [match for match in matches(pattern, root) if match.is_dir()]
    starts = folders(before, root) if before else [root]
    below = {folder for start in starts for folder in _below(start)}
    return sorted({match for folder in below for match in (folders(after, folder) if after else [folder])})


def _halves(pattern: str) -> tuple[str, str | None]:
    """Return the parts before and after the first `**`; None for the second if there is no `**`."""
    parts = Path(pattern).parts
    if "**" not in parts:
        return pattern, None
    place = parts.index("**")
    return os.path.join(*parts[:place], ""), os.path.join("", *parts[place + 1 :])  # noqa: PTH118 - a pattern is not a path


def _below(folder: Path) -> Iterator[Path]:
    """Yield a folder and all folders below it, except hidden ones, node_modules and virtual environments."""
    for path, names, files in os.walk(folder):
        if "pyvenv.cfg" in files:
            names.clear()
            continue
        names[:] = [name for name in names if not name.startswith(".") and name != "node_modules"]
        yield Path(path)
