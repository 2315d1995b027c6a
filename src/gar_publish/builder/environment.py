"""An isolated environment of a build backend."""

import os
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Environment:
    """A virtual environment.

    Attributes:
        folder: Its folder.
        path: The PATH that follows its own programs.
        is_trusted: Whether its backend may be imported once for all builds: it is the image's, or all run as one user.
    """

    folder: Path
    path: str
    is_trusted: bool = False

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

    @property
    def variables(self) -> Mapping[str, str]:
        """The variables of its programs, on top of others: PATH begins with its own folder of programs."""
        return {"PATH": f"{self._programs}{os.pathsep}{self.path}"}


def make(folder: Path) -> None:
    """Make an empty virtual environment (PEP 405) that other users can read, whatever the umask."""
    import venv  # a run that builds nothing does not need it

    venv.EnvBuilder(symlinks=sys.platform != "win32").create(folder)
    (folder / "pyvenv.cfg").chmod(0o644)
    for inside, _, _ in os.walk(folder):
        Path(inside).chmod(0o755)
