"""What an attack consists of."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

End = Literal["builds", "SIGINT", "exception", "exception and SIGINT"]
"""What ends the run: the last build; or, while the hostile build is under way, a signal, an exception, or both."""

LIBRARY = Path(__file__).with_name("hostile.py")

_BACKEND = """\
import hostile
from hostile import *

{code}

def build_wheel(folder, config_settings=None, metadata_directory=None):
    hostile.begin()
    return attack(folder) or hostile.wheel(folder)

def build_sdist(folder, config_settings=None):
    return sdist(folder)

def get_requires_for_build_wheel(config_settings=None):
    return requires()

def get_requires_for_build_sdist(config_settings=None):
    return requires()
"""

_MODULE = """\
import {name}_hostile as hostile
from {name}_hostile import *

{code}

hostile.HERE = TMP
hostile.begin()
attack(".")
"""


@dataclass(frozen=True)
class Attack:
    """A hostile build, or a hostile wheel in a rehearsal.

    Attributes:
        name: Says what it does.
        code: A part of the build backend, after `from hostile import *`. It defines `attack(folder)`, which
            `build_wheel` calls, and perhaps `sdist(folder)` and `requires()`.
        count: The number of hostile projects. `NUMBER` is the number of each.
        folder: Where they are in the workspace, without their numbers.
        files: More files, or files in place of the usual ones.
        build_requires: Their build requirements, as in `pyproject.toml`.
        prepare: Changes a hostile project's folder before the run.
        neighbours: The harmless projects, after the hostile ones.
        wheels: Wheels with hostile code for `build_requires`: their names and the files in each.
        program: Whether it needs `hostile.c`.
        formats: What is built.
        jobs: The most builds at once; 0 for the default.
        end: What ends the run.
        disk: The size of the file system for builds; empty for the usual one. The harmless builds may fail then, too.
        exclusive: Whether nothing else should run at the same time.
        only_image: Whether it needs a backend of the image.
        is_imported: Whether wheels with the code are rehearsed, instead of the builds. They are named like the folders.
        seconds: The time limit of a rehearsal.
    """

    name: str
    code: str = "def attack(folder): pass"
    count: int = 1
    folder: str = "evil"
    files: Mapping[str, str] = field(default_factory=dict)
    build_requires: Sequence[str] = ()
    prepare: Callable[[Path], None] | None = None
    neighbours: Sequence[str] = ("one",)
    wheels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    program: bool = False
    formats: Sequence[Literal["wheel", "sdist"]] = ("wheel",)
    jobs: int = 0
    end: End = "builds"
    disk: str = ""
    exclusive: bool = False
    only_image: bool = False
    is_imported: bool = False
    seconds: int = 30

    @property
    def folders(self) -> list[str]:
        """The hostile projects' folders."""
        return [self.folder if self.count == 1 else f"{self.folder}{number}" for number in range(self.count)]

    def module(self, name: str) -> str:
        """Return the module of a hostile wheel."""
        return _MODULE.format(name=name, code=self.code)

    def project(self, number: int, room: Path) -> dict[str, str]:
        """Return the files of one hostile project.

        Args:
            number: Its number.
            room: The folder that the job is in.
        """
        requires = ", ".join(f'"{each}"' for each in self.build_requires)
        return {
            "pyproject.toml": f"[build-system]\nrequires = [{requires}]\n"
            'build-backend = "backend"\nbackend-path = ["."]\n',
            "backend.py": _BACKEND.format(code=self.code),
            "hostile.py": library(room, number),
            **self.files,
        }


def library(room: Path, number: int = 0) -> str:
    """Return `hostile.py` for one project."""
    text = LIBRARY.read_text(encoding="utf-8")
    return text.replace('ROOM = ""', f"ROOM = {str(room)!r}").replace("NUMBER = 0", f"NUMBER = {number}")
