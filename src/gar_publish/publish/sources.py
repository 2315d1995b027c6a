"""The packages of a run: built from projects, given as files, or fetched from another repository."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from gar_publish.context import Context
from gar_publish.distributions import archives, distribution, filenames, wheel_checks
from gar_publish.distributions.distribution import Distribution
from gar_publish.errors import BuildFailure, Failure, RegistryRefused
from gar_publish.projects import graph
from gar_publish.projects.find import Project, requirements, same_name
from gar_publish.publish.delivery import Delivery
from gar_publish.publish.destination import Destination
from gar_publish.publish.schedule import Package
from gar_publish.registry.outcomes import ExistingFile, NotBuilt, PublishedFile
from gar_publish.settings.index_url import Login, url_with_login
from gar_publish.settings.settings import Settings
from gar_publish.threads import result

if TYPE_CHECKING:
    from gar_publish.builder.builds import Built
    from gar_publish.settings.promotion import Promotion


class Sources:
    """The packages of one run, and the outcome of the projects that bring none.

    Args:
        settings: The inputs.
        context: Where the run happens.
        projects: The projects; none if files are given or fetched.
        destination: The repository to publish to.
        delivery: Learns which packages will not come.
        readers: The threads that ask servers.

    Attributes:
        skipped: The files that the registry has, and that are not built again.
        not_built: The projects whose builds failed.
        warnings: What is wrong with files that are published all the same.
    """

    def __init__(
        self,
        settings: Settings,
        context: Context,
        projects: Sequence[Project],
        *,
        destination: Destination,
        delivery: Delivery,
        readers: Executor,
    ) -> None:
        self._settings = settings
        self._context = context
        self._projects = projects
        self._destination = destination
        self._delivery = delivery
        self._readers = readers
        self._names = {project.name: project for project in projects if project.name}
        self._needed_for_builds = _needed_for_builds(projects)
        self._credential = _credentials_file(context.environment)
        self.skipped: list[PublishedFile] = []
        self.not_built: list[NotBuilt] = []
        self.warnings: list[str] = []

    def to_build(self) -> Sequence[Project]:
        """Return the projects to build. With `if-exists: skip`, versions that the index has are left out.

        Raises:
            Failure: The registry refuses this run, or does not answer.
        """
        if self._settings.if_exists != "skip":
            return self._projects
        existing = [(project, self._readers.submit(self._existing, project)) for project in self._projects]
        to_build = []
        for project, future in existing:
            if files := result(future):
                self.skipped += files
                self._delivery.leave_out(project.name, landed=True)
            else:
                to_build.append(project)
        return to_build

    def check(self) -> None:
        """Raise the failure of a repository that takes no uploads, as soon as it is known."""
        self._destination.check()

    def private_index(self, names: Collection[str]) -> str | None:
        """Return the index's URL with a token that reads it, if it has any of these build requirements.

        Build requirements that this run publishes are waited for. Before that, the installer could find another package
        of the same name in a public index.

        Raises:
            Failure: One of them was not published, or the repository cannot be read.
        """
        for name in self._needed_for_builds.intersection(names):
            if self._settings.rehearse or not self._delivery.has_landed(name) or self._settings.dry_run:
                raise _not_published(name)
        try:
            if not any(name in self._needed_for_builds or self._destination.access.files(name) for name in names):
                return None
        except RegistryRefused as failure:
            raise self._destination.explain(failure) from None
        token = self._destination.access.build_token()
        return url_with_login(self._settings.repository.index_url, Login(token.user, token.value))

    def built(self, builds: Iterable["Built"]) -> Iterator[Package]:
        """Yield the packages of finished builds. If one of several builds fails, the others go on."""
        import twine.package  # noqa: F401 - takes long to import, and builds have just begun

        for built in builds:
            project = built.project
            try:
                if built.failure:
                    raise built.failure
                files = [distribution.read(path, self._credential) for path in built.files]
                distribution.check_built(files, project)
                for wheel in self._check_wheels(files):
                    self.warn(*wheel_checks.check_against_source(wheel, project.folder, self._context.environment))
                if built.from_tree and (missing := archives.missing(built.files[-1], built.from_tree)):
                    self.warn(
                        f"{files[-1].filename} is built from the sdist, which lacks {', '.join(missing)}. "
                        "A wheel that is built without the sdist has them. Add them to the sdist."
                    )
                self._refuse_same_name(files[0].name, project)
            except Failure as failure:
                if len(self._projects) == 1:
                    raise
                self.not_built.append(NotBuilt(project.label, failure))
                self._delivery.leave_out(project.name)
            else:
                yield Package.of(files, unnamed=project.name is None)

    def prebuilt(self) -> list[Package]:
        """Return the packages of the input `dist`.

        Raises:
            Failure: It matches no file, or a file that must not be published.
        """
        from gar_publish.distributions import prebuilt  # only `dist` needs it

        paths = prebuilt.collect(self._settings.dist, self._context.workspace)
        files = [distribution.read(path, self._credential) for path in paths]
        self._check_wheels(files)
        return self._packages(files)

    def promoted(self, promotion: "Promotion", folder: Path) -> list[Package]:
        """Return the packages of a promotion, fetched into a folder.

        Raises:
            Failure: A version is missing, cannot be read, or must not be published; nothing was uploaded.
        """
        from gar_publish.publish.promote import PromotionSource  # only `promote-from` needs it

        access = self._destination.open_source(promotion.source)
        source = PromotionSource(promotion.source, access, self._readers, folder, self._context.console.info)
        try:
            fetched = source.fetch(promotion.pins, with_dependencies=promotion.with_dependencies)
        except RegistryRefused as failure:
            raise access.explain(failure, self._settings.credential, publishes=False) from None
        return self._packages(fetched)

    def _check_wheels(self, files: Iterable[Distribution]) -> list[Distribution]:
        """Check the files inside of wheels, and return the wheels."""
        wheels = [each for each in files if each.kind == "wheel"]
        for each in wheels:
            self.warn(*wheel_checks.check(each))
        return wheels

    def warn(self, *warnings: str) -> None:
        """Show warnings, and keep them for the report."""
        for each in warnings:
            self._context.console.warning(each)
        self.warnings += warnings

    def _packages(self, files: Iterable[Distribution]) -> list[Package]:
        name = attrgetter("name")
        packages = [Package.of(list(group)) for _, group in groupby(sorted(files, key=name), key=name)]
        required = {package.name: package.required for package in packages}
        graph.refuse_cycles(required)
        self._delivery.expect(required)
        return packages

    def _existing(self, project: Project) -> list[PublishedFile]:
        """Return the files of a project's version in the index, if a build could bring no others."""
        if not project.name or not project.version:
            return []
        found = filenames.universal(self._destination.files(project.name), project.name, project.version)
        if not self._settings.formats <= found.keys():
            return []
        return [
            PublishedFile(
                ExistingFile(listed.filename, project.name, project.version),
                "skipped",
                listed.sha256 or self._destination.access.index.read_sha256(listed),
                listed.url,
            )
            for kind, listed in found.items()
            if kind in self._settings.formats
        ]

    def _refuse_same_name(self, name: str, project: Project) -> None:
        other = self._names.setdefault(name, project)
        if other is not project:
            self._delivery.leave_out(name)  # neither is published: the right one is not known
            raise same_name(name, other, project)


def _credentials_file(environment: Mapping[str, str]) -> bytes:
    """Return the content of the credentials file that the variable names: no package may have it inside."""
    with suppress(OSError, ValueError):
        return Path(environment.get("GOOGLE_APPLICATION_CREDENTIALS") or os.devnull).read_bytes()
    return b""


def _needed_for_builds(projects: Sequence[Project]) -> set[str]:
    """Return the build requirements that this run publishes, without those that a cycle keeps from coming first."""
    order = requirements(projects)
    pairs = {(project.key, name) for project in projects for name in project.build_requires & order.keys()}
    return {name for _, name in pairs} - {name for key, name in pairs if name not in order[key]}


def _not_published(name: str) -> BuildFailure:
    return BuildFailure(
        f"A build needs {name}, which this run has not published. gar-publish does not take it from another index.",
        cause=f"{name} failed, or waits for packages that come only after this build, or this is a dry run or a "
        "rehearsal",
        fix=f"publish {name} first, in a run of its own",
        anchor="build-requirements",
    )
