"""Where attacks are tried: as root outside of a container, and in the image."""

import functools
import json
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uv

from bench.attacks.attack import Attack
from bench.attacks.room import Room
from bench.attacks.table import harmless

ROOT = Path(__file__).parents[2]
LONGEST = 120
"""Seconds of a run."""
_NOBODY = 65534
_NEEDED = ("build", "packaging", "twine", "uv")
_ALONE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c")
"""Runs a program that sees, and can kill, only its own processes."""
_PATH = "/usr/local/bin:/usr/bin:/bin"
_turn = threading.Lock()


@dataclass(frozen=True)
class Result:
    """What came of one run.

    Attributes:
        problems: What the attack achieved.
        notes: What else happened.
        seconds: How long the builds took.
        wheels: The hashes of the harmless wheels.
    """

    problems: Sequence[str]
    notes: Sequence[str] = ()
    seconds: float = 0
    wheels: Mapping[str, str] = field(default_factory=dict)


class Place(ABC):
    """A place for attacks. Threads may share it.

    Args:
        name: Its name.
        program: `hostile.c`, compiled.
    """

    def __init__(self, name: str, program: Path) -> None:
        self.name = name
        self._program = program
        self._lock = threading.Lock()
        self._expect = functools.cache(self._wheels)

    @abstractmethod
    def allows(self, attack: Attack) -> bool:
        """Return whether an attack can be tried here."""

    def run(self, attack: Attack) -> Result:
        """Run an attack once."""
        with self._lock:
            expected = self._expect(",".join(attack.formats))
        with _turn if attack.exclusive else _nothing():
            return self._result(attack, expected)

    def _wheels(self, formats: str) -> Mapping[str, str]:
        result = self._result(harmless(formats), {})
        if result.problems:
            raise RuntimeError(f"without an attack, in {self.name}: {result.problems}")
        return result.wheels

    def _result(self, attack: Attack, expected: Mapping[str, str]) -> Result:
        orders = {"attack": attack.name, "expected": expected}
        try:
            done = self._run(attack, orders, f"canary-{secrets.token_hex(8)}")
        except subprocess.TimeoutExpired:
            return Result([f"it hangs: no end after {LONGEST} s"], seconds=LONGEST)
        try:
            return Result(**json.loads(done.stdout.splitlines()[-1]))
        except (ValueError, IndexError):
            return Result([f"it ended with {done.returncode}: {done.stdout[-2000:]} {done.stderr[-3000:]}"])

    @abstractmethod
    def _run(self, attack: Attack, orders: Mapping[str, Any], secret: str) -> "subprocess.CompletedProcess[str]": ...


class Outside(Place):
    """Root, outside of a container.

    Args:
        python: A Python that every user can run, with gar-publish's dependencies.
        program: `hostile.c`, compiled.
    """

    def __init__(self, python: str, program: Path) -> None:
        super().__init__("outside", program)
        self._python = python

    def allows(self, attack: Attack) -> bool:
        return not attack.only_image

    def _run(self, attack: Attack, orders: Mapping[str, Any], secret: str) -> "subprocess.CompletedProcess[str]":
        folder = Path(tempfile.mkdtemp(prefix="gar-publish-attacks-", dir="/var/tmp"))
        folder.chmod(0o755)
        disk = "mkdir -p /srv/gar-publish; mount -t tmpfs -o mode=711,size={} tmpfs /srv/gar-publish; "
        script = f'{disk.format(attack.disk) if attack.disk else ""}"$@"; exit $?'
        try:
            return subprocess.run(
                [*_ALONE, script, "sh", self._python, "-m", "bench.attacks.driver"],
                input=json.dumps({**orders, "room": str(folder), "program": str(self._program)}),
                env={
                    "PATH": _PATH,
                    "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
                    "PYTHONPYCACHEPREFIX": str(self._program.with_name("pycache")),
                    **Room(folder, secret).variables(attack),
                },
                cwd="/",
                capture_output=True,
                text=True,
                timeout=LONGEST,
                check=False,
            )
        finally:
            subprocess.run(["rm", "-rf", "--", folder], check=True)


class Image(Place):
    """A container of the image.

    Args:
        name: The name of this place.
        image: The name of the image.
        options: Options of `docker run`.
        program: `hostile.c`, compiled.
    """

    def __init__(self, name: str, image: str, options: Sequence[str], program: Path) -> None:
        super().__init__(name, program)
        self._image = image
        self._options = options

    @staticmethod
    def exists(image: str) -> bool:
        """Return whether Docker answers, and has an image."""
        try:
            return not subprocess.run(
                ["docker", "image", "inspect", image], capture_output=True, check=False
            ).returncode
        except OSError:
            return False

    def allows(self, attack: Attack) -> bool:  # noqa: ARG002 - here, all attacks run
        return True

    def _run(self, attack: Attack, orders: Mapping[str, Any], secret: str) -> "subprocess.CompletedProcess[str]":
        name = f"gar-publish-attacks-{secrets.token_hex(6)}"
        variables = Room(Path("/"), secret).variables(attack) | {"PYTHONPATH": "/code", "PYTHONDONTWRITEBYTECODE": "1"}
        disk = [f"--tmpfs=/srv/gar-publish:mode=711,size={attack.disk}"] if attack.disk else []
        try:
            return subprocess.run(
                [
                    *("docker", "run", "--rm", "--interactive", "--network=none", f"--name={name}"),
                    *(f"--env={key}={value}" for key, value in variables.items()),
                    f"--volume={ROOT / 'bench'}:/code/bench:ro",
                    f"--volume={self._program}:/code/hostile:ro",
                    *disk,
                    *self._options,
                    "--entrypoint=/app/venv/bin/python",
                    self._image,
                    *("-m", "bench.attacks.driver"),
                ],
                input=json.dumps({**orders, "room": "/", "program": "/code/hostile"}),
                capture_output=True,
                text=True,
                timeout=LONGEST,
                check=False,
            )
        except subprocess.TimeoutExpired:
            subprocess.run(["docker", "kill", name], capture_output=True, check=False)
            raise


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def compiled(folder: Path) -> Path:
    """Compile `hostile.c`, without libraries of this machine, and return the program."""
    program = folder / "hostile"
    source = Path(__file__).with_name("hostile.c")
    compiler = shutil.which("cc")
    if not compiler:
        raise RuntimeError("there is no C compiler")
    subprocess.run([compiler, "-O2", "-static", "-pthread", "-o", program, source], check=True)
    return program


def python_for_every_user(folder: Path) -> str:
    """Return a Python that every user can run; if it is not this one, make an environment of the system's."""
    if _nobody_can_run(sys.executable):
        return sys.executable
    if not _nobody_can_run("/usr/bin/python3"):
        raise RuntimeError("there is no Python 3.11 or later that every user can run; give one with --python")
    found = uv.find_uv_bin()
    subprocess.run([found, "venv", "-q", "--python", "/usr/bin/python3", f"{folder}/venv"], check=True)
    python = f"{folder}/venv/bin/python"
    subprocess.run([found, "pip", "install", "-q", "--python", python, *_NEEDED], check=True)
    return python


def _nobody_can_run(python: str) -> bool:
    script = "import sys; assert sys.version_info >= (3, 11)"
    command = [python, "-c", script]
    try:
        subprocess.run(command, user=_NOBODY, group=_NOBODY, extra_groups=[], cwd="/", check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True
