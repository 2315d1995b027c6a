"""Folders and files that patterns name."""

import glob
import os
from collections.abc import Iterator
from pathlib import Path


def is_glob(pattern: str, root: Path) -> bool:
    """Whether a pattern is one, rather than the name of something that is there."""
    return glob.has_magic(pattern) and not (root / pattern).exists()


def matches(pattern: str, root: Path) -> list[Path]:
    """What a glob matches, in order of name; hidden files and folders only where it names them."""
    # Path.glob takes no absolute pattern and goes into hidden folders.
    return [root / match for match in sorted(glob.glob(pattern, root_dir=root, recursive=True))]  # noqa: PTH207 - see above


def folders(pattern: str, root: Path) -> list[Path]:
    """The folders that a glob matches, in order of name. `**` enters no folder of installed packages."""
    before, after = _halves(pattern)
    if after is None:
        return [match for match in matches(pattern, root) if match.is_dir()]
    starts = folders(before, root) if before else [root]
    below = {folder for start in starts for folder in _below(start)}
    return sorted({match for folder in below for match in (folders(after, folder) if after else [folder])})


def _halves(pattern: str) -> tuple[str, str | None]:
    """What stands before and after the first `**`; the latter None where there is none."""
    parts = Path(pattern).parts
    if "**" not in parts:
        return pattern, None
    place = parts.index("**")
    return os.path.join(*parts[:place], ""), os.path.join("", *parts[place + 1 :])  # noqa: PTH118 - a pattern is no path


def _below(folder: Path) -> Iterator[Path]:
    """A folder and all below it, but hidden ones, node_modules and virtual environments."""
    for path, names, files in os.walk(folder):
        if "pyvenv.cfg" in files:
            names.clear()
            continue
        names[:] = [name for name in names if not name.startswith(".") and name != "node_modules"]
        yield Path(path)
