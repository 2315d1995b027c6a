"""An isolated environment of a build backend."""

import os
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from gar_publish.builder.bytecode import HABITS
from gar_publish.builder.hook_process import HookProcess
from gar_publish.builder.sandbox import Sandbox
from gar_publish.errors import BuildFailure


@dataclass(eq=False)
class Environment:
    """A virtual environment, with the methods of `build.env.IsolatedEnv`.

    Attributes:
        folder: Its folder.
        path: The PATH that follows its own programs.
        wanted: How many projects will use it.
        has_byte_code: Whether a backend was imported in it by a user who may write to it.
        first_import: Locked during that import.
    """

    folder: Path
    path: str
    wanted: int = 1
    has_byte_code: bool = False
    first_import: Lock = field(default_factory=Lock, repr=False)

    @property
    def _programs(self) -> Path:
        return self.folder / ("Scripts" if sys.platform == "win32" else "bin")

    @property
    def site(self) -> Path:
        """The folder of its packages."""
        return Path(sysconfig.get_path("purelib", "venv", {"base": str(self.folder)}))

    @property
    def python_executable(self) -> str:
        return str(self._programs / ("python.exe" if sys.platform == "win32" else "python"))

    def habits(self, backend: str) -> Path:
        """Return the file with a backend's habits (`hook_server.py`), which is kept like byte code."""
        return self.site / "__pycache__" / f"{backend}{HABITS}"

    def make_extra_environ(self) -> Mapping[str, str]:
        return {"PATH": f"{self._programs}{';' if sys.platform == 'win32' else ':'}{self.path}"}

    def hook_process(self, sandbox: Sandbox) -> HookProcess:
        """Start a hook process.

        Raises:
            OSError: It could not be started.
        """
        return HookProcess(sandbox, self.python_executable, self.make_extra_environ())


def make(folder: Path) -> None:
    """Make an empty virtual environment (PEP 405) that other users can read, whatever the umask.

    Raises:
        BuildFailure: It cannot be made.
    """
    import venv  # a run that builds nothing does not need it

    try:
        venv.EnvBuilder(symlinks=sys.platform != "win32").create(folder)
        (folder / "pyvenv.cfg").chmod(0o644)
        for inside, _, _ in os.walk(folder):
            Path(inside).chmod(0o755)
    except (OSError, ValueError) as error:  # a folder with a colon in its name, for example
        raise BuildFailure(
            "No virtual environment could be made for the build.",
            fix="check the free space of the temporary folder (TMPDIR)",
            anchor="build-environment",
            detail=str(error),
        ) from error
