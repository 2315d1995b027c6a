"""An isolated environment, which a build backend lives in."""

import os
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from gar_publish.builder.bytecode import HABITS
from gar_publish.errors import BuildFailure

if TYPE_CHECKING:
    from gar_publish.builder.hook_process import HookProcess


@dataclass(eq=False)
class Environment:
    """A virtual environment, as `build.env.IsolatedEnv` wants it.

    Attributes:
        folder: Where it is.
        path: The PATH that its programs come before.
        wanted: How many projects are going to use it.
        has_byte_code: Whether a backend was imported in it, by somebody who may write into it.
        first_import: Held meanwhile.
        started: Processes that were started while it was filled, and wait to be of use.
    """

    folder: Path
    path: str
    wanted: int = 1
    has_byte_code: bool = False
    first_import: Lock = field(default_factory=Lock, repr=False)
    started: "list[HookProcess]" = field(default_factory=list, repr=False)

    @property
    def _programs(self) -> Path:
        return self.folder / ("Scripts" if sys.platform == "win32" else "bin")

    @property
    def site(self) -> Path:
        """Where its packages are."""
        return Path(sysconfig.get_path("purelib", "venv", {"base": str(self.folder)}))

    @property
    def python_executable(self) -> str:
        return str(self._programs / ("python.exe" if sys.platform == "win32" else "python"))

    def habits(self, backend: str) -> Path:
        """The file with a backend's habits (`server.py`); kept as byte code is."""
        return self.site / "__pycache__" / f"{backend}{HABITS}"

    def make_extra_environ(self) -> Mapping[str, str]:
        return {"PATH": f"{self._programs}{';' if sys.platform == 'win32' else ':'}{self.path}"}


def make(folder: Path) -> None:
    """Make an empty virtual environment (PEP 405), which others can read whatever the umask.

    Raises:
        BuildFailure: It cannot be made.
    """
    import venv  # where nothing is built, nobody needs it

    try:
        venv.EnvBuilder(symlinks=sys.platform != "win32").create(folder)
        (folder / "pyvenv.cfg").chmod(0o644)
        for inside, _, _ in os.walk(folder):
            Path(inside).chmod(0o755)
    except (OSError, ValueError) as error:  # a folder with a colon in its name, for example
        raise BuildFailure(
            "No virtual environment could be made for the build.",
            fix="Check the free space of the temporary folder (TMPDIR).",
            anchor="build-environment",
            detail=str(error),
        ) from error
