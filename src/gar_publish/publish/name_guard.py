"""Tells which names of a run the public index has, too, or could get."""

import subprocess
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor, Future
from pathlib import Path

import uv

from gar_publish import certificates
from gar_publish.builder import variables
from gar_publish.errors import CONFUSION_DOCS
from gar_publish.settings.settings import NameGuard
from gar_publish.threads import result

_SECONDS = 60


class Guard:
    """Asks the public index, which is uv's default index, for names. Nothing is asked if the mode is `none`.

    Args:
        mode: `warn` tells which names the public index has; `strict` also tells which ones are free there.
        environment: All variables, with those for the public index.
        readers: The threads that ask.
    """

    def __init__(self, mode: NameGuard, environment: Mapping[str, str], readers: Executor) -> None:
        self._mode = mode
        self._environment = environment
        self._readers = readers
        self._asked: dict[str, Future[bool | None]] = {}

    def ask(self, names: Iterable[str]) -> None:
        """Ask for names, in the background."""
        if self._mode != "none":
            for name in names:
                if name not in self._asked:
                    self._asked[name] = self._readers.submit(is_public, name, self._environment)

    def warnings(self, name: str) -> list[str]:
        """Return what there is to say about a name, before it is published."""
        self.ask([name])
        if name not in self._asked:
            return []
        found = result(self._asked[name])
        if found is None:
            what = f"`name-guard`: the public index could not be asked for {name}."
            return [f"{what} Check the network, and HTTPS_PROXY and UV_DEFAULT_INDEX if these variables are set."]
        safe = f"make sure that only your index is asked for it: {CONFUSION_DOCS}"
        if found:
            what = f"The public index has a package {name}, too, and an installer that asks both may take that one."
            return [f"{what} Rename yours, or {safe}"]
        if self._mode == "strict":
            what = f"The public index has no package {name}, so anybody could publish one there."
            return [f"{what} Register the name, or {safe}"]
        return []


def is_public(name: str, environment: Mapping[str, str]) -> bool | None:
    """Return whether uv's default index has a package; None if it could not be asked."""
    given = variables.for_installer(environment)
    own = {
        "UV_INDEX": "",
        "UV_EXTRA_INDEX_URL": "",
        "UV_FIND_LINKS": "",
        "UV_PYTHON_DOWNLOADS": "never",
        "NO_COLOR": "1",
        **({} if variables.has_cache(environment) else {"UV_NO_CACHE": "1"}),
    }
    command = [uv.find_uv_bin(), "pip", "compile", "--quiet", "--no-deps", "--no-build", "--no-header", "--python"]
    try:
        done = subprocess.run(
            [*command, sys.executable, "-"],
            input=name,
            cwd=Path(sys.executable).anchor,  # uv obeys settings in any folder above
            env={**given, **certificates.for_uv(environment), **own},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=_SECONDS,
        )
    except (subprocess.TimeoutExpired, OSError):
        return None
    is_missing = f"{name} was not found in the" in done.stderr  # also in the cache, without a network
    if done.returncode == 0 or ("No solution found" in done.stderr and not is_missing):
        return True  # even if nothing of it fits this Python, or all was yanked
    is_told = "was not found in the package registry" in done.stderr and "hint: An index" not in done.stderr
    return False if is_missing and is_told else None
