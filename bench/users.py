"""The users that run programs on a real repository: root, and an ordinary user."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.attacks.places import python_for_every_user
from bench.measure import Command
from bench.stage import OURS, ROOT, SETTINGS, Stage

NOBODY = 65534


@dataclass(frozen=True)
class User:
    """A user.

    Attributes:
        programs: The folder of gar-publish and uv.
        number: The user's id; None for the user of this process.
        environment: The user's own variables.
    """

    programs: Path
    number: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    def command(self, command: Command) -> Command:
        """Return a command as this user runs it."""
        program, *arguments = command.arguments
        return replace(
            command,
            arguments=[str(self.programs / Path(program).name), *arguments],
            environment={**command.environment, **self.environment},
            user=self.number,
        )

    def own(self, folder: Path) -> None:
        """Give a folder and its content to the user."""
        if self.number is not None:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, self.number, self.number, follow_symlinks=False)


def root(stage: Stage) -> User:
    """Return root, with a Python that every user can run, so that builds run as other users.

    Raises:
        RuntimeError: This process is not root's, or there is no such Python.
    """
    if os.geteuid():
        raise RuntimeError("only root can measure this")
    programs = _programs(stage)
    return User(programs, environment={"PATH": _path(programs)})


def ordinary(stage: Stage) -> User:
    """Return an ordinary user: the one of this process, or for root another one, with a home and caches of its own.

    Raises:
        RuntimeError: There is no Python that every user can run.
    """
    if os.geteuid():
        return User(OURS)
    programs = _programs(stage)
    folder = stage.folder / "ordinary"
    names = {"HOME": "home", "TMPDIR": "tmp", "PIP_CACHE_DIR": "pip-cache", "UV_CACHE_DIR": "uv-cache"}
    places = {variable: folder / name for variable, name in names.items()}
    user = User(programs, NOBODY, {"PATH": _path(programs), **{name: str(place) for name, place in places.items()}})
    if not folder.exists():
        for place in places.values():
            place.mkdir(parents=True)
        for name in SETTINGS:
            if (Path.home() / name).exists():
                subprocess.run(["cp", "-rL", "--parents", name, places["HOME"]], cwd=Path.home(), check=True)
        user.own(folder)
    return user


def _programs(stage: Stage) -> Path:
    """Return the folder of gar-publish and uv in an environment that every user can run."""
    folder = stage.folder / "every-user"
    python = folder / "venv" / "bin" / "python"
    if not python.exists():
        folder.mkdir(exist_ok=True)
        try:
            python = Path(python_for_every_user(folder))
            if python.parent == OURS:
                return OURS
            locked = ("--constraint", ROOT / "requirements" / "demo.txt", "--compile-bytecode")
            subprocess.run([OURS / "uv", "pip", "install", "-q", "--python", python, *locked, ROOT], check=True)
        except (RuntimeError, subprocess.CalledProcessError):
            raise RuntimeError("there is no Python with gar-publish that every user can run") from None
    return python.parent


def _path(programs: Path) -> str:
    return os.pathsep.join([str(programs), os.defpath])
