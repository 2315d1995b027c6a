"""The packages of finished builds."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gar_publish.context import Context
from gar_publish.distributions import distribution, wheel_checks
from gar_publish.distributions.distribution import Distribution
from gar_publish.errors import Failure
from gar_publish.projects import git
from gar_publish.projects.find import Project, requirements, same_name
from gar_publish.publish.schedule import Package
from gar_publish.registry.outcomes import NotBuilt

if TYPE_CHECKING:
    from gar_publish.builder.builds import Built


class BuiltPackages:
    """Reads and checks the files of finished builds.

    Args:
        projects: The projects.
        context: Where the run happens.
        leave_out: Learns the name of a project that brings no package; None if it has none.

    Attributes:
        not_built: The projects whose builds failed.
        warnings: What is wrong with files that are good enough.
        credential: The content of the credentials file, which no package may have inside.
    """

    def __init__(
        self, projects: Sequence[Project], context: Context, leave_out: Callable[[str | None], None] = lambda _: None
    ) -> None:
        self._projects = projects
        self._context = context
        self.credential = _credentials_file(context.environment)
        self._leave_out = leave_out
        self._names = {project.name: project for project in projects if project.name}
        self.not_built: list[NotBuilt] = []
        self.warnings: list[str] = []

    def read(self, builds: Iterable["Built"]) -> Iterator[Package]:
        """Yield the packages. If one of several builds fails, the others go on."""
        import twine.package  # noqa: F401 - takes long to import, and builds have just begun

        for built in builds:
            project = built.project
            try:
                if built.failure:
                    raise built.failure
                files = [distribution.read(path, self.credential) for path in built.files]
                distribution.check_built(files, project)
                environment = self._context.environment
                for wheel in self.check(files):
                    self.warn(*wheel_checks.check_against_source(wheel, project.folder, environment, built.from_tree))
                self.refuse_same_name(files[0].name, project)
                if project.version is None:
                    self.warn(*git.guessed(files[0].name, files[0].version, project.folder))
            except Failure as failure:
                self.lose(project.title, project.name, failure)
            else:
                yield Package.of(files, unnamed=project.name is None)

    def check(self, files: Iterable[Distribution]) -> list[Distribution]:
        """Check the files inside of wheels, and return the wheels.

        Raises:
            BuildFailure: One must not be published.
        """
        wheels = [each for each in files if each.kind == "wheel"]
        for each in wheels:
            self.warn(*wheel_checks.check(each))
        return wheels

    def warn(self, *warnings: str) -> None:
        """Show warnings, and keep them for the report."""
        for each in warnings:
            self._context.console.warning(each)
        self.warnings += warnings

    def lose(self, label: str, name: str | None, failure: Failure) -> None:
        """Go on without a project, unless it is the only one.

        Raises:
            Failure: It is.
        """
        if len(self._projects) == 1:
            raise failure
        self.not_built.append(NotBuilt(label, failure))
        self._leave_out(name)

    def refuse_same_name(self, name: str, project: Project) -> None:
        """Raise BadInput if another project has made a package of this name."""
        other = self._names.setdefault(name, project)
        if other is not project:
            self._leave_out(name)  # neither is published: the right one is not known
            raise same_name(name, other, project)


def _credentials_file(environment: Mapping[str, str]) -> bytes:
    """Return the content of the credentials file that the variable names: no package may have it inside."""
    with suppress(OSError, ValueError):
        return Path(environment.get("GOOGLE_APPLICATION_CREDENTIALS") or os.devnull).read_bytes()
    return b""


def needed_for_builds(projects: Sequence[Project]) -> set[str]:
    """Return the build requirements that this run publishes, without those that a cycle keeps from coming first."""
    order = requirements(projects)
    pairs = {(project.key, name) for project in projects for name in project.build_requires & order.keys()}
    return {name for _, name in pairs} - {name for key, name in pairs if name not in order[key]}
