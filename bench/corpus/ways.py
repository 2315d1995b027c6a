"""Build with gar-publish, with `python -m build`, or with `uv build`, on this machine or in the image."""

import json
import os
import re
import secrets
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import parse_sdist_filename, parse_wheel_filename

from bench.corpus.projects import Project, Repository
from bench.corpus.tools import Checkout, Tool
from gar_publish.builder.backend import Kind

ROOT = Path(__file__).parents[2]
USER = 65534
"""The id of the ordinary user."""
LONGEST = 600
"""Seconds of a build."""
_AT_ONCE = 3
"""Builds of uv; gar-publish builds as many on two cores."""
_DRIVER = "tests/integration/root/build_driver.py"
_DATE = "1580601600"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PASSED_ON = ("LANG", "SSL_CERT_FILE", "SSL_CERT_DIR")
_ERROR = re.compile(r"^[^\w\n]*([\w.]*(Error|Exception|Failure|Exit)\b|.*\b(?i:error)(:| at )).*$", re.MULTILINE)
_CONSEQUENCES = ("CalledProcessError", "error: Failed to build")
"""What follows from an error in a line above."""
_PATH_IN_ERROR = re.compile(r"/[\w./+-]*")


@dataclass(frozen=True)
class Outcome:
    """A wheel or sdist, or what was said instead.

    Attributes:
        file: The wheel or sdist.
        said: What the build said.
        anchor: The anchor of gar-publish's failure.
    """

    file: Path | None = None
    said: str = ""
    anchor: str = ""

    @property
    def error(self) -> str:
        """The last line of the output that names an error, without paths."""
        found = (line[0].strip("<> \t") for line in _ERROR.finditer(self.said))
        lines = [line for line in found if not any(each in line for each in _CONSEQUENCES)]
        return without_paths(lines[-1] if lines else self.said.strip().rpartition("\n")[2])


def project_and_version(file: Path) -> tuple[str, str]:
    """Return the normalised name and the version in the name of a wheel or sdist."""
    if file.suffix == ".whl":
        project, version, *_ = parse_wheel_filename(file.name)
    else:
        project, version = parse_sdist_filename(file.name)
    return project, str(version)


def without_paths(text: str) -> str:
    return _PATH_IN_ERROR.sub("/…", text)


class Place(ABC):
    """A place where projects are built, one at a time.

    Args:
        room: An empty folder that every user can enter.
        downloads: A folder for the sdists.
    """

    insists = False
    """Whether gar-publish must isolate root's builds."""

    def __init__(self, room: Path, downloads: Path) -> None:
        self.room = room
        self._downloads = downloads
        for name in ("kept", "cache", "cache-root"):
            (room / name).mkdir(exist_ok=True)
        os.chown(room / "cache", USER, USER)

    def reference(self, project: Project | Repository, workspace: str = "workspace") -> Outcome:
        """Build a wheel with `python -m build`, as the ordinary user."""
        folder = self._lay(project, workspace)
        return self._by_another(["build", "--wheel", "--installer=uv", "--outdir"], folder)

    def ours(self, project: Project | Repository, *, is_root: bool) -> Outcome:
        """Build a wheel with gar-publish."""
        folder = self._lay(project, "workspace")
        result = self._driven([str(folder.relative_to(self.room / "workspace"))], "wheel", is_root=is_root)
        if failure := result["failure"]:
            return Outcome(said=failure.get("text", failure["kind"]), anchor=failure.get("anchor", ""))
        return Outcome(self._kept(Path(result["files"][0])))

    def by_uv(self, checkout: Checkout, tools: Sequence[Tool], kind: Kind) -> dict[str, Outcome]:
        """Build the projects of these tools with `uv build`, as the ordinary user, and return the outcomes by tool."""
        folder = self._lay(checkout, "workspace")
        command = ["uv", "build", f"--{kind}", "--out-dir"]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            outcomes = pool.map(lambda tool: self._by_another(command, folder / tool.project), tools)
            return {tool.name: outcome for tool, outcome in zip(tools, outcomes, strict=True)}

    def by_gar_publish(
        self, checkout: Checkout, tools: Sequence[Tool], kind: Kind, *, is_root: bool
    ) -> dict[str, Outcome]:
        """Build the projects of these tools with gar-publish, side by side, and return the outcomes by tool."""
        folder = self._lay(checkout, "workspace").relative_to(self.room / "workspace")
        result = self._driven([f"{folder}/{tool.project}" for tool in tools], kind, is_root=is_root, go_on=True)
        said = {Path(label).name: text for label, text in result.get("explained", {}).items()}
        files = {project_and_version(Path(file))[0]: Path(file) for file in result.get("files", ())}
        return {
            tool.name: Outcome(self._kept(files[tool.project]))
            if tool.project in files
            else Outcome(said=said.get(tool.project, str(result["failure"])))
            for tool in tools
        }

    def _by_another(self, command: Sequence[str], folder: Path) -> Outcome:
        out = self.room / "out" / folder.name
        done = self._run(["-m", *command, str(out), str(folder)], is_root=False)
        if done.returncode:
            return Outcome(said=done.stdout)
        (file,) = out.glob("[!.]*")  # uv adds a .gitignore
        return Outcome(self._kept(file))

    def _driven(self, packages: Sequence[str], kind: Kind, *, is_root: bool, go_on: bool = False) -> dict[str, Any]:
        """Build with gar-publish, and return what the driver says."""
        orders = {
            "workspace": str(self.room / "workspace"),
            "packages": packages,
            "formats": [kind],
            "out": str(self.room / "out"),
            "alone": False,
            "insist": self.insists,
            "go_on": go_on,
        }
        done = self._run([self._driver], json.dumps(orders), is_root=is_root)
        try:
            result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        except (ValueError, IndexError):
            return {"failure": {"kind": "none", "text": done.stdout}}
        return result

    def _lay(self, project: Project | Repository | Checkout, workspace: str) -> Path:
        made = [self.room / name for name in {"workspace", workspace, "origin", "home", "tmp", "out"}]
        for each in made:
            subprocess.run(["rm", "-rf", "--", each], check=True)
            each.mkdir()
        folder = project.lay(self._downloads, self.room / workspace)
        subprocess.run(["chown", "-R", f"{USER}:{USER}", *made], check=True)
        return folder

    def _kept(self, file: Path) -> Path:
        return file.rename(Path(tempfile.mkdtemp(dir=self.room / "kept"), file.name))

    def _variables(self, *, is_root: bool) -> dict[str, str]:
        return {
            "PATH": _PATH,
            "HOME": str(self.room / "home"),
            "TMPDIR": str(self.room / "tmp"),
            "UV_CACHE_DIR": str(self.room / ("cache-root" if is_root else "cache")),
            "SOURCE_DATE_EPOCH": _DATE,
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    @property
    @abstractmethod
    def _driver(self) -> str: ...

    @abstractmethod
    def _run(
        self, arguments: Sequence[str], orders: str = "", *, is_root: bool
    ) -> "subprocess.CompletedProcess[str]": ...


class Host(Place):
    """This machine, with a Python that every user can run, and that has gar-publish's dependencies."""

    def __init__(self, room: Path, downloads: Path, python: str) -> None:
        super().__init__(room, downloads)
        self._python = python

    @property
    def _driver(self) -> str:
        return str(ROOT / _DRIVER)

    def _run(self, arguments: Sequence[str], orders: str = "", *, is_root: bool) -> "subprocess.CompletedProcess[str]":
        user = None if is_root else USER
        variables = self._variables(is_root=is_root)
        variables["PATH"] = f"{Path(self._python).parent}:{variables['PATH']}"
        return _finished(
            [self._python, *arguments],
            orders,
            env={
                **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
                **variables,
                **({"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"} if orders else {}),
            },
            user=user,
        )


class Image(Place):
    """A container of the image, in the network of this machine."""

    insists = True

    def __init__(self, room: Path, downloads: Path, image: str) -> None:
        super().__init__(room, downloads)
        self._image = image

    @property
    def _driver(self) -> str:
        return f"/code/{_DRIVER}"

    def _run(self, arguments: Sequence[str], orders: str = "", *, is_root: bool) -> "subprocess.CompletedProcess[str]":
        name = f"gar-publish-corpus-{secrets.token_hex(6)}"
        variables = self._variables(is_root=is_root) | ({"PYTHONPATH": "/code"} if orders else {})
        if not is_root:
            variables["PATH"] = f"/app/venv/bin:{variables['PATH']}"  # build looks for uv there
        return _finished(
            [
                *("docker", "run", "--rm", "--interactive", "--network=host", f"--name={name}"),
                *(f"--env={key}={value}" for key, value in variables.items()),
                f"--volume={ROOT / 'tests'}:/code/tests:ro",
                f"--volume={self.room}:{self.room}",
                *(() if is_root else (f"--user={USER}:{USER}",)),
                "--entrypoint=/app/venv/bin/python",
                self._image,
                *arguments,
            ],
            orders,
            env=dict(os.environ),
            kill=["docker", "kill", name],
        )


def _finished(
    command: Sequence[str], orders: str, *, env: Mapping[str, str], user: int | None = None, kill: Sequence[str] = ()
) -> "subprocess.CompletedProcess[str]":
    """Run a build. One that takes too long fails."""
    try:
        return subprocess.run(
            command,
            input=orders,
            env=env,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=LONGEST,
            check=False,
        )
    except subprocess.TimeoutExpired:
        if kill:
            subprocess.run(kill, capture_output=True, check=False)
        return subprocess.CompletedProcess(command, 1, f"error: no end after {LONGEST} s")
