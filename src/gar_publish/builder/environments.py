"""The isolated environments of a run, shared between projects.

There is one for each set of requirements, and it is never changed. So projects with the same requirements share it, and
uv, which runs the environment's Python, only runs it while nothing is installed: no package's code runs with the rights
of the installer.
"""

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
"""Build requirements whose names on PyPI belong to their makers, so that no private package is looked for."""


class Environments:
    """All environments of a run. Threads may share it.

    Args:
        scratch: A folder of this run that only gar-publish can write to.
        environment: All variables that gar-publish was started with.
        works: The running work that the installer is added to.
        byte_code: Byte code kept for environments in which all code runs as the user; None for others.
        private_index: Returns, for normalised names of requirements, the URL of an index with a read-only credential if
            the private repository has one of them, else None. That index wins over others (uv's `first-index`
            strategy), so a package of the same name on PyPI is never taken.
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

    def expect(self, requirements: Iterable[Collection[str]]) -> None:
        """Count the requirements of the projects to come, before their builds."""
        self._wanted.update(map(frozenset, requirements))

    def get(self, requirements: Collection[str], *, project: str, sandbox: Sandbox) -> Environment:
        """Return the environment with these requirements.

        Args:
            requirements: PEP 508 strings from a pyproject.toml or from a backend, not yet checked.
            project: The project's label, for messages.
            sandbox: Builds the requirements that have no wheel.

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
            except BaseException as error:  # noqa: BLE001 - all threads that wait for it raise it
                making.set_exception(error)
        return making.result()

    def keep_byte_code(self) -> None:
        """Keep the byte code that imports have left, for later runs."""
        with self._lock:
            made = [each.result() for each in self._made.values() if each.done() and not each.exception()]
            if self._byte_code:
                for environment in made:
                    self._byte_code.keep(environment.site)

    def _make(self, requirements: Collection[Requirement], project: str, sandbox: Sandbox) -> Environment:
        """Make an environment: first try to unpack wheels, and if there are none, build in the sandbox.

        Only the first way has the credential. A requirement with a URL goes the second way at once: what is behind it
        (git, a local file) must not be fetched as root. A private requirement has no second way: without the
        credential, anybody's package of the same name would be installed.

        Backends that the image has are linked. While the private repository is asked, public wheels are unpacked
        already: if they are the wrong ones, none of their code has run.
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
        return environment


def _parse(requirement: str, project: str) -> Requirement:
    try:
        return Requirement(requirement)
    except (InvalidRequirement, TypeError) as error:
        raise BuildFailure(
            f"Invalid build requirement {requirement!r} in {project}: {error}.".replace("\n", " "),
            fix=f"correct `requires` in the [build-system] table in the pyproject.toml of {project}",
            anchor="build-requirements",
        ) from error


def _mixed(project: str) -> BuildFailure:
    return BuildFailure(
        f"The build of {project} requires a private package and a package without a wheel. Both cannot be installed.",
        cause="the installer that has the credential only unpacks wheels, so that no other code runs beside the "
        "credential; an installer without the credential could install a public package in place of the private one",
        fix="publish a wheel of the other requirement to the private repository",
        anchor="build-requirements",
    )
