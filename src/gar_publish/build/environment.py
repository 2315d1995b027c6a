"""The isolated environments that build backends live in, made by uv.

One is made for each set of requirements and never changed, so that projects with the same requirements share
it, and uv, which asks an environment's Python about itself, only ever asks one in which nothing is installed
yet: no code of a package runs with the installer's rights.
"""

import os
import subprocess
import sys
import sysconfig
import urllib.parse
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import uv
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from gar_publish.build import ready, variables
from gar_publish.build.bytecode import ByteCode
from gar_publish.build.process import Program, Works
from gar_publish.build.sandbox import Sandbox
from gar_publish.errors import BuildFailure, Failure, Unreachable
from gar_publish.login import USERS

PrivateIndex = Callable[[Collection[str]], "Future[str | None]"]

PUBLIC = frozenset(
    {
        "flit-core",
        "hatch-vcs",
        "hatchling",
        "pdm-backend",
        "poetry-core",
        "setuptools",
        "setuptools-scm",
        "uv-build",
        "wheel",
    }
)
"""Build requirements that nobody but their makers can put on PyPI, so that no private one is looked for."""


@dataclass(eq=False)
class Environment:
    """A virtual environment, as `build.env.IsolatedEnv` wants it.

    Attributes:
        folder: Where it is.
        path: The PATH that its programs come before.
        wanted: How many projects are going to use it.
        has_byte_code: Whether a backend was imported in it, by somebody who may write into it.
        first_import: Held meanwhile.
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
        """Where its packages are."""
        return Path(sysconfig.get_path("purelib", "venv", {"base": str(self.folder)}))

    @property
    def python_executable(self) -> str:
        return str(self._programs / ("python.exe" if sys.platform == "win32" else "python"))

    def make_extra_environ(self) -> Mapping[str, str]:
        return {"PATH": f"{self._programs}{';' if sys.platform == 'win32' else ':'}{self.path}"}


class Environments:
    """All environments of a run. May be shared by threads.

    Args:
        scratch: A folder of this run, which only gar-publish can write.
        environment: The whole environment that gar-publish was started with.
        works: What the installer is counted among.
        byte_code: What is kept for environments in which the user's own rights run everything; None for others.
        private_index: Given the normalised names of requirements, the URL of an index with a read-only
            credential where one of them lives in the private repository, else None. What that index has wins
            over other indexes, as uv has it (its `first-index` strategy), so nobody can put a package of the
            same name on PyPI.
    """

    def __init__(
        self,
        scratch: Path,
        environment: Mapping[str, str],
        *,
        works: Works,
        private_index: PrivateIndex,
        byte_code: ByteCode | None = None,
    ) -> None:
        self._scratch = scratch
        self._path = environment.get("PATH", "")
        self._works = works
        self._variables = variables.for_installer(environment) | {
            "UV_NO_PROGRESS": "1",
            "UV_PYTHON_DOWNLOADS": "never",
            "NO_COLOR": "1",
        }
        if not os.access(environment.get("HOME", "/"), os.W_OK):
            self._variables.setdefault("UV_CACHE_DIR", str(scratch / "cache"))
        self._private_index = private_index
        self._byte_code = byte_code
        self._wanted: Counter[frozenset[str]] = Counter()
        self._lock = Lock()
        self._made: dict[frozenset[str], Future[Environment]] = {}
        self._count = 0

    def expect(self, requirements: Iterable[Collection[str]]) -> None:
        """Say beforehand what the projects to come will ask for, each once."""
        self._wanted.update(map(frozenset, requirements))

    def get(self, requirements: Collection[str], *, project: str, sandbox: Sandbox) -> Environment:
        """The environment that holds these requirements.

        Args:
            requirements: PEP 508 strings, from a pyproject.toml or from a backend; not yet checked.
            project: How the user calls the project, for messages.
            sandbox: Where what is no wheel is built.

        Raises:
            BuildFailure: A requirement is malformed or cannot be installed.
            Unreachable: A package index cannot be reached.
        """
        parsed = [_parse(requirement, project) for requirement in requirements]
        key = frozenset(str(requirement) for requirement in parsed)
        with self._lock:
            making, mine = self._made.get(key), key not in self._made
            if making is None:
                making = self._made[key] = Future()
        if mine:
            try:
                environment = self._make(parsed, project, sandbox)
                environment.wanted = self._wanted[frozenset(requirements)]
                if self._byte_code:
                    self._byte_code.give(environment.site)
                making.set_result(environment)
            except BaseException as error:  # noqa: BLE001 - whoever waits for it gets its failure too
                making.set_exception(error)
        return making.result()

    def keep_byte_code(self) -> None:
        """Keep what imports have left, for other runs."""
        with self._lock:
            made = [each.result() for each in self._made.values() if each.done() and not each.exception()]
            if self._byte_code:
                for environment in made:
                    self._byte_code.keep(environment.site)

    def _make(self, requirements: Collection[Requirement], project: str, sandbox: Sandbox) -> Environment:
        """Wheels are unpacked by gar-publish itself; what has to be built first is built in the sandbox.

        Only the first way has the credential. A requirement with a URL of its own goes the second way at
        once: what is behind it (git, a local file) is not to be fetched with root's rights. With a private
        requirement there is no second way, on which anybody's package of the same name would be taken.

        What the image holds is not even unpacked. While the private repository is asked, public wheels are unpacked
        already: nothing of them has run when they turn out to be the wrong ones.
        """
        names = [str(requirement) for requirement in requirements]
        if not requirements:
            return self._empty()
        asked = {canonicalize_name(requirement.name) for requirement in requirements} - PUBLIC
        answer = self._private_index(asked) if asked else None
        held = ready.choose(requirements) if ready.asks_pypi_alone(self._variables) else None
        if held is not None and (answer is None or answer.result() is None):
            environment = Environment(self._folder(), self._path, has_byte_code=True)
            ready.link(held, environment.folder)
            return environment
        environment = self._empty()
        has_urls = any(requirement.url for requirement in requirements)
        output = "--no-build" if has_urls else self._install_wheels(environment, names, None)
        private = answer.result() if answer else None
        if private is not None and not has_urls:
            environment = self._empty()
            output = self._install_wheels(environment, names, private)
        if output is None:
            return environment
        if "--no-build" not in output:
            raise _not_installed(output, project)
        if private is not None:
            raise _mixed(project)
        environment = self._empty()
        self._build_and_install(environment, names, project, sandbox)
        return environment

    def _folder(self) -> Path:
        with self._lock:
            self._count += 1
            return self._scratch / f"environment-{self._count}"

    def _empty(self) -> Environment:
        folder = self._folder()
        output = self._uv(["venv", "--no-project", "--python", sys.executable, folder])
        if output is not None:
            raise BuildFailure(
                "No virtual environment could be made for the build.",
                fix="Check the free space of the temporary folder (TMPDIR).",
                anchor="build-environment",
                detail=output,
            )
        return Environment(folder, self._path)

    def _install_wheels(self, environment: Environment, names: list[str], private: str | None) -> str | None:
        """What uv says where it fails, else None."""
        index = {}
        if private is not None:
            others = self._variables.get("UV_INDEX", "")
            index = {"UV_INDEX": f"{private} {others}".strip()}
        output = self._uv(["pip", "install", "--no-build", *_into(environment, names)], index)
        return output if output is None or private is None else _scrub(output, private)

    def _build_and_install(self, environment: Environment, names: list[str], project: str, sandbox: Sandbox) -> None:
        sandbox.give(environment.folder)
        lines: list[str] = []
        given = variables.without_credentials(self._variables)
        if sandbox.user is not None:
            given.pop("UV_CACHE_DIR", None)  # it is root's
        try:
            sandbox.run(
                [uv.find_uv_bin(), "pip", "install", *_into(environment, names)],
                cwd=_root(environment),
                extra={**given, **sandbox.variables},
                show=lines.append,
            )
        except subprocess.CalledProcessError as error:
            raise _not_installed("\n".join(lines), project) from error
        finally:
            sandbox.take(environment.folder)

    def _uv(self, arguments: list[str | Path], extra: Mapping[str, str] | None = None) -> str | None:
        """Run uv as gar-publish itself; what it says where it fails, else None.

        It runs in the root folder, since uv obeys a uv.toml or pyproject.toml in any folder above, and
        everybody may write one into the temporary folder.
        """
        lines: list[str] = []
        program = Program(
            [uv.find_uv_bin(), *arguments],
            cwd=Path(self._scratch.anchor),
            environment={**self._variables, **(extra or {})},
            user=None,
            umask=0o022,
        )
        try:
            self._works.follow(program, lines.append)
        except subprocess.CalledProcessError:
            return "\n".join(lines)
        return None


def _root(environment: Environment) -> Path:
    return Path(environment.folder.anchor)


def _into(environment: Environment, names: list[str]) -> list[str | Path]:
    return ["--python", environment.python_executable, "--", *names]


def _parse(requirement: str, project: str) -> Requirement:
    try:
        return Requirement(requirement)
    except (InvalidRequirement, TypeError) as error:
        raise BuildFailure(
            f"{requirement!r}, which {project} needs for its build, is not a requirement: {error}.".replace("\n", " "),
            fix="Correct `requires` in the [build-system] table of its pyproject.toml.",
            anchor="build-requirements",
        ) from error


def _mixed(project: str) -> BuildFailure:
    return BuildFailure(
        f"{project} needs both a private package and one without a wheel for its build, which cannot be had together.",
        cause="what reads the private repository only unpacks wheels, so that no project's code runs beside the"
        " credential; without it, the private package could be taken from PyPI, where anybody may put one",
        fix="publish a wheel of the other requirement to the private repository as well",
        anchor="build-requirements",
    )


def _scrub(text: str, url: str) -> str:
    """Take the credential of a URL out of a text, in whichever form it is written."""
    parts = urllib.parse.urlsplit(url)
    for secret in {parts.password, parts.username, urllib.parse.unquote(parts.password or "")}:
        if secret and secret not in USERS:
            text = text.replace(secret, "***")
    return text


def _not_installed(output: str, project: str) -> Failure:
    """The failure that uv's words mean."""
    if "Failed to fetch" in output or "error sending request" in output:
        return Unreachable(
            f"What {project} needs for its build could not be fetched.",
            cause="A package index cannot be reached from here, or refuses.",
            fix="Check the network, and HTTPS_PROXY and UV_DEFAULT_INDEX where they are set.",
            anchor="build-requirements",
            detail=output,
        )
    return BuildFailure(
        f"What {project} needs for its build could not be installed.",
        cause="A name or version in `requires` of its [build-system] table that no index has for this Python"
        f" ({sys.version_info.major}.{sys.version_info.minor}).",
        fix="Correct `requires`. A private one has to be a wheel in the repository that is published to.",
        anchor="build-requirements",
        detail=output,
    )
