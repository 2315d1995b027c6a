"""The packages of a run: built from projects, given as files, or fetched from another repository."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from gar_publish.context import Context
from gar_publish.distributions import distribution, filenames
from gar_publish.distributions.distribution import Distribution
from gar_publish.errors import BuildFailure, RegistryRefused
from gar_publish.projects import graph
from gar_publish.projects.find import Project
from gar_publish.publish.built import BuiltPackages, credentials_file, needed_for_builds
from gar_publish.publish.delivery import Delivery
from gar_publish.publish.destination import Destination
from gar_publish.publish.schedule import Package
from gar_publish.registry.outcomes import ExistingFile, PublishedFile
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
        self._needed_for_builds = needed_for_builds(projects)
        self._built = BuiltPackages(projects, context, delivery.leave_out)
        self.skipped: list[PublishedFile] = []
        self.not_built = self._built.not_built

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
        """Return the packages of finished builds, as they come."""
        return self._built.read(builds)

    def prebuilt(self) -> list[Package]:
        """Return the packages of the input `dist`.

        Raises:
            Failure: It matches no file, or a file that must not be published.
        """
        from gar_publish.distributions import prebuilt  # only `dist` needs it

        credential = credentials_file(self._context.environment)
        paths = prebuilt.collect(self._settings.dist, self._context.workspace)
        files = [distribution.read(path, credential) for path in paths]
        self._built.check(files)
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

    @property
    def warnings(self) -> list[str]:
        """What is wrong with files that are published all the same."""
        return self._built.warnings

    def warn(self, *warnings: str) -> None:
        """Show warnings, and keep them for the report."""
        self._built.warn(*warnings)

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


def _not_published(name: str) -> BuildFailure:
    return BuildFailure(
        f"A build needs {name}, which this run has not published. gar-publish does not take it from another index.",
        cause=f"{name} failed, or waits for packages that come only after this build, or this is a dry run or a "
        "rehearsal",
        fix=f"publish {name} first, in a run of its own",
        anchor="build-requirements",
    )
