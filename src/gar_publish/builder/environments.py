"""The isolated environments of a run, shared between projects.

One is made for each set of requirements and never changed, so that projects with the same requirements share
it, and uv, which asks an environment's Python about itself, only ever asks one in which nothing is installed
yet: no code of a package runs with the installer's rights.
"""

import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future
from pathlib import Path
from threading import Lock

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from gar_publish.builder import image_backends
from gar_publish.builder.bytecode import ByteCode
from gar_publish.builder.environment import Environment, make
from gar_publish.builder.hook_process import HookProcess
from gar_publish.builder.installer import Installer, not_installed
from gar_publish.builder.process import Works
from gar_publish.builder.sandbox import Sandbox
from gar_publish.errors import BuildFailure

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
        self._installer = Installer(scratch, environment, works)
        self._private_index = private_index
        self._byte_code = byte_code
        self._wanted: Counter[frozenset[str]] = Counter()
        self._lock = Lock()
        self._made: dict[frozenset[str], Future[Environment]] = {}
        self._count = 0
        self._all: list[Environment] = []

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

    def close(self) -> None:
        """End what was started, and came to be of no use."""
        for process in [each for environment in self._all for each in environment.started]:
            process.close()

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
        held = image_backends.choose(requirements) if self._installer.asks_pypi_alone() else None
        if held is not None and (answer is None or answer.result() is None):
            environment = Environment(self._folder(), self._path, has_byte_code=True)
            image_backends.link(held, environment.folder)
            return environment
        environment = self._empty()
        if sandbox.user is None and sys.platform == "linux":
            # It has no code but Python's own yet. As another user it would be taken for a straggler.
            environment.started.append(HookProcess(sandbox, environment, early=True))
        has_urls = any(requirement.url for requirement in requirements)
        output = "--no-build" if has_urls else self._installer.install_wheels(environment, names, None)
        private = answer.result() if answer else None
        if private is not None and not has_urls:
            environment = self._empty()
            output = self._installer.install_wheels(environment, names, private)
        if output is None:
            return environment
        if "--no-build" not in output:
            raise not_installed(output, project)
        if private is not None:
            raise _mixed(project)
        environment = self._empty()
        output = self._installer.build_and_install(environment, names, sandbox)
        if output is not None:
            raise not_installed(output, project)
        return environment

    def _folder(self) -> Path:
        with self._lock:
            self._count += 1
            return self._scratch / f"environment-{self._count}"

    def _empty(self) -> Environment:
        environment = Environment(self._folder(), self._path)
        make(environment.folder)
        self._all.append(environment)
        return environment


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
