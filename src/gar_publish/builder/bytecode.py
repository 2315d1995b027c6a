"""Keep the byte code of build environments for later runs.

The first import of a backend without byte code takes longer than most builds. So the byte code that a build leaves is
kept in the user's cache folder, for the next environment with the same distributions. Python checks each file against
the time and size of its source (PEP 3147), and compiles again what does not match.
"""

import contextlib
import hashlib
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

_MOST_KEPT = 20  # sets of distributions; the least recently used are removed


class ByteCode:
    """The byte code kept for one user, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "ByteCode | None":
        """Return that of the user who started gar-publish; None if there is no place for it."""
        home = environment.get("XDG_CACHE_HOME") or (environment.get("HOME") and f"{environment['HOME']}/.cache")
        return cls(Path(home, "gar-publish", "byte-code")) if home and sys.platform == "linux" else None

    def give(self, site: Path) -> None:
        """Link the kept byte code into an environment's folder of packages."""
        kept = self._of(site)
        with contextlib.suppress(OSError):
            for folder, _, names in os.walk(kept):
                target = f"{site}{folder[len(str(kept)) :]}"
                if names:
                    os.makedirs(target, exist_ok=True)  # noqa: PTH103 - builds wait, and Path takes twice the time
                for name in names:
                    _link(f"{folder}/{name}", f"{target}/{name}")
            os.utime(kept)

    def keep(self, site: Path) -> None:
        """Keep the byte code that was made in an environment."""
        with contextlib.suppress(OSError):
            kept = self._of(site)
            for file in site.glob("**/__pycache__/*.pyc"):
                if file.stat().st_nlink == 1:
                    target = kept / file.relative_to(site)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.unlink(missing_ok=True)
                    _link(file, target)
            for old in sorted(self._folder.iterdir(), key=os.path.getmtime, reverse=True)[_MOST_KEPT:]:
                shutil.rmtree(old, ignore_errors=True)

    def _of(self, site: Path) -> Path:
        installed = sorted(name for name in os.listdir(site) if name.endswith(".dist-info"))  # noqa: PTH208 - names alone
        text = "\n".join([sys.version, *installed])
        return self._folder / hashlib.sha256(text.encode()).hexdigest()[:16]


def _link(file: str | Path, target: str | Path) -> None:
    try:
        os.link(file, target)
    except OSError:  # another file system
        shutil.copy2(file, target)
