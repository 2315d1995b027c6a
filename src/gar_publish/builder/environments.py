"""The isolated environments of a run."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import KW_ONLY, dataclass, field
from itertools import count
from pathlib import Path
from threading import Lock

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from gar_publish.build_failures import not_installed
from gar_publish.builder import image_backends
from gar_publish.builder.bytecode import ByteCode
from gar_publish.builder.environment import Environment, make
from gar_publish.builder.installer import Installer
from gar_publish.builder.sandbox import Sandbox
from gar_publish.errors import BuildFailure

PrivateIndex = Callable[[Collection[str]], "Future[str | None]"]
Pins = Callable[[Collection[str]], Collection[str]]

_PUBLIC = """
    cython flit-core hatch-fancy-pypi-readme hatch-requirements-txt hatch-vcs hatchling maturin meson-python pdm-backend
    poetry-core poetry-dynamic-versioning pybind11 scikit-build-core setuptools setuptools-rust setuptools-scm uv-build
    uv-dynamic-versioning versioningit wheel
"""
"""Build requirements whose names on PyPI belong to their makers, so that no private package is looked for."""


@dataclass
class Environments:
    """All environments of a run. Threads may share it.

    Projects with the same requirements share an environment. Where each project has a user, it belongs to root, and
    wheels are unpacked into it, which runs no code. One with a requirement that must be built belongs to its project.

    Attributes:
        scratch: A folder of this run that only gar-publish can write to.
        path: The PATH of gar-publish.
        are_several: Whether the run has several projects.
        may_fork: Whether hooks may run in forks of a process that has imported their backend.
        byte_code: For environments in which all code runs as the user who started gar-publish.
        private_index: Returns, for normalised names of requirements, the URL of an index with a read-only credential if
            the private repository has one of them, else None. That index wins over others (uv's `first-index`
            strategy), so a package of the same name on PyPI is not taken.
        pins: Returns requirements of exact versions for some of these names, if that index has one of them.
        own: The names of the run's projects, which are always asked for.
    """

    scratch: Path
    path: str
    installer: Installer
    _: KW_ONLY
    are_several: bool
    may_fork: bool
    private_index: PrivateIndex
    pins: Pins = lambda _names: ()
    own: Collection[str | None] = ()
    byte_code: ByteCode | None = None
    _lock: Lock = field(default_factory=Lock, init=False)
    _made: dict[frozenset[str], Future[Environment | None]] = field(default_factory=dict, init=False)
    _numbers: dict[str, Iterator[int]] = field(default_factory=lambda: defaultdict(lambda: count(1)), init=False)

    def get(self, requirements: Collection[str], *, project: str, sandbox: Sandbox) -> Environment:
        """Return an environment with these requirements. If one of them has no wheel, it is built in the sandbox.

        Raises:
            BuildFailure: A requirement is malformed or cannot be installed.
            Unreachable: A package index cannot be reached.
        """
        parsed = {str(each): each for each in (_parse(requirement, project) for requirement in requirements)}
        wanted = [parsed[name] for name in sorted(parsed)]  # uv may choose by their order
        key = frozenset(parsed)
        with self._lock:
            is_mine = key not in self._made
            made = self._made.setdefault(key, Future())
        if is_mine:
            try:
                made.set_result(self._make_shared(wanted, project, sandbox))
            except BaseException as error:  # noqa: BLE001 - all threads that wait for it raise it
                made.set_exception(error)
        return made.result() or self._filled(wanted, project, sandbox)

    def keep_byte_code(self) -> None:
        """Keep the byte code that imports have left, for later runs."""
        if self.byte_code:
            with self._lock:
                made = [each.result() for each in self._made.values() if each.done() and not each.exception()]
            for environment in filter(None, made):
                self.byte_code.keep(environment.site)

    def _make_shared(self, wanted: Sequence[Requirement], project: str, sandbox: Sandbox) -> Environment | None:
        """Return an environment for every project with these requirements; None if each needs one of its own."""
        if not wanted:
            return self._empty(wanted)
        held = image_backends.choose(wanted) if image_backends.asks_pypi_alone(self.installer.variables) else None
        if held is not None and self._private(wanted) is None:
            environment = Environment(self._folder(wanted), self.path, is_trusted=self.may_fork)
            image_backends.link(held, environment.folder)
            return environment
        if not sandbox.user:
            environment = self._filled(wanted, project, sandbox)
            if self.byte_code:
                self.byte_code.give(environment.site)
            return environment
        if not self.are_several:
            return None
        environment = self._empty(wanted)
        if not self._unpacked(environment, wanted, project):
            return None
        (environment.folder / ".lock").unlink(missing_ok=True)  # uv lets every user write to it
        self.installer.compile(environment)
        return environment

    def _filled(self, wanted: Sequence[Requirement], project: str, sandbox: Sandbox) -> Environment:
        """Unpack wheels; if one is missing, install everything in the sandbox, where it is built.

        Only the first way has the credential of the private repository.
        """
        is_trusted = self.may_fork and not sandbox.user
        owner = project if sandbox.user else ""
        environment = self._empty(wanted, owner, is_trusted=is_trusted)
        if not self._unpacked(environment, wanted, project):
            environment = self._empty(wanted, owner, is_trusted=is_trusted)
            output = self.installer.build_and_install(environment, [*map(str, wanted)], sandbox)
            if output is not None:
                raise not_installed(output, project)
        else:
            sandbox.give(environment.folder)
        return environment

    def _unpacked(self, environment: Environment, wanted: Sequence[Requirement], project: str) -> bool:
        """Unpack wheels into an environment. Return whether there were wheels of all.

        What is behind a URL (git, a local file) must not be fetched as root. A private requirement needs a wheel:
        without the credential, anybody's package of the same name would be installed.
        """
        private = self._private(wanted)
        if not any(requirement.url for requirement in wanted):
            pins = self.pins([canonicalize_name(each.name) for each in wanted]) if private else ()
            output = self.installer.install_wheels(environment, [*map(str, wanted), *pins], private)
            if output is None:
                return True
            if "--no-build" not in output:
                raise not_installed(output, project)
        if private is not None:
            raise _mixed(project)
        return False

    def _private(self, wanted: Sequence[Requirement]) -> str | None:
        asked = {canonicalize_name(each.name) for each in wanted} - {*_PUBLIC.split()}.difference(self.own)
        return self.private_index(asked).result() if asked else None

    def _folder(self, wanted: Sequence[Requirement], owner: str = "") -> Path:
        """Return the folder of a new environment, the same in each run, whichever build is the first to need one."""
        name = hashlib.sha256(ascii([owner, *wanted]).encode()).hexdigest()[:8]
        return self.scratch / f"environment-{name}-{next(self._numbers[name])}"

    def _empty(self, wanted: Sequence[Requirement], owner: str = "", *, is_trusted: bool = False) -> Environment:
        environment = Environment(self._folder(wanted, owner), self.path, is_trusted)
        make(environment.folder)
        return environment


def _parse(requirement: str, project: str) -> Requirement:
    try:
        return Requirement(requirement)
    except (InvalidRequirement, TypeError, RecursionError) as error:
        raise BuildFailure(
            f"Invalid build requirement {str(requirement)[:200]!r} in {project}: {error}.".replace("\n", " "),
            fix=f"correct `requires` in the [build-system] table in the pyproject.toml of {project}",
            anchor="build-requirements",
        ) from error


def _mixed(project: str) -> BuildFailure:
    return BuildFailure(
        f"The build of {project} requires a private package and a package without a wheel. Both cannot be installed.",
        cause="with the credential, only wheels are installed, because they run no code; without it, a public package "
        "could take the place of the private one",
        fix="publish a wheel of the other requirement to the private repository",
        anchor="build-requirements",
    )
