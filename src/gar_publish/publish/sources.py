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
from gar_publish.errors import BadInput, BuildFailure, Failure, RegistryRefused
from gar_publish.projects import graph
from gar_publish.projects.find import Project
from gar_publish.publish.built import BuiltPackages, needed_for_builds
from gar_publish.publish.delivery import Delivery
from gar_publish.publish.destination import Destination
from gar_publish.publish.schedule import Package
from gar_publish.registry.outcomes import ExistingFile, PublishedFile
from gar_publish.settings.settings import Settings, beside_dist
from gar_publish.threads import result

if TYPE_CHECKING:
    from gar_publish.builder.builds import Built
    from gar_publish.previews.origin import Preview
    from gar_publish.previews.siblings import Held, Siblings
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
        built: Reads what builds have made, and has the projects whose builds failed, and the warnings of the run.
        needed_for_builds: The packages of this run that builds of this run wait for.
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
        self.needed_for_builds = needed_for_builds(projects)
        self.built = BuiltPackages(projects, context, delivery.leave_out)
        self._siblings: Siblings | None = None
        self.skipped: list[PublishedFile] = []

    def to_build(self) -> Sequence[Project]:
        """Return the projects to build. With `if-exists: skip`, versions that the index has are left out.

        Raises:
            Failure: The registry refuses this run, or does not answer.
        """
        if self._settings.if_exists != "skip" or self._settings.preview:
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
        for name in self.needed_for_builds.intersection(names):
            if self._settings.rehearse or not self._delivery.has_landed(name) or self._settings.dry_run:
                raise _not_published(name)
        try:
            if not any(name in self.needed_for_builds or self._destination.access.files(name) for name in names):
                return None
        except RegistryRefused as failure:
            raise self._destination.explain(failure) from None
        return self._destination.index_with_token()

    def pins(self, names: Collection[str]) -> list[str]:
        """Return requirements of the exact versions that a preview has of these names."""
        versions = self._siblings.versions if self._siblings else {}
        return [f"{name}=={versions[name]}" for name in names if name in versions]

    def preview(self, builds: Iterable["Built"], preview: "Preview", folder: Path) -> Iterator[Package]:
        """Yield the packages of a preview, stamped in a folder, each when all that it requires are built."""
        import twine.package  # noqa: F401 - takes long to import, and builds have just begun

        from gar_publish.previews import stamp
        from gar_publish.previews.siblings import Held, Siblings

        named = [project.name for project in self._projects if project.name]
        self._siblings = siblings = Siblings(preview, named, len(self._projects) - len(named))
        self._delivery.held = siblings.held
        for built in builds:
            project = built.project
            try:
                if built.failure:
                    raise built.failure
                wheels = [stamp.read(path, self.built.credential) for path in built.files]
                distribution.check_name(wheels[0].name, wheels[0].filename, project)
                self.built.refuse_same_name(wheels[0].name, project)
                siblings.add(Held(project.title, wheels, unnamed=project.name is None))
            except Failure as failure:
                self.built.lose(project.title, project.name, failure)
                siblings.lose(project.name)
            yield from self._stamped(siblings, folder)

    def _stamped(self, siblings: "Siblings", folder: Path) -> Iterator[Package]:
        for held, lost in siblings.ready():
            name = held.wheels[0].name
            try:
                if lost:
                    raise _requires_lost(held.label, lost)
                yield Package.of(self._stamp(held, siblings, folder), unnamed=held.unnamed)
            except Failure as failure:
                self.built.lose(held.label, None if held.unnamed else name, failure)

    def _stamp(self, held: "Held", siblings: "Siblings", folder: Path) -> list[Distribution]:
        from gar_publish.previews import stamp

        paths = [stamp.stamp(wheel, siblings.versions, folder) for wheel in held.wheels]
        files = [distribution.read(path, self.built.credential) for path in paths]
        self.built.check(files)
        return files

    def prebuilt(self) -> list[Package]:
        """Return the packages of the input `dist`.

        Raises:
            Failure: It matches no file, or a file that must not be published.
        """
        from gar_publish.distributions import prebuilt  # only `dist` needs it

        paths = prebuilt.collect(self._settings.dist, self._context.workspace)
        files = [distribution.read(path, self.built.credential) for path in paths]
        self.built.check(files)
        return self._packages(files)

    def prebuilt_preview(self, preview: "Preview", folder: Path) -> list[Package]:
        """Return the packages of the input `dist` as a preview, stamped in a folder. It has no sdists.

        Raises:
            Failure: `dist` matches no wheel, or a file that must not be published.
        """
        from gar_publish.distributions import prebuilt
        from gar_publish.previews import forks, stamp
        from gar_publish.previews.siblings import Held, Siblings

        collected = prebuilt.collect(self._settings.dist, self._context.workspace)
        paths = [path for path in collected if path.name.endswith(".whl")]
        read: Iterable[stamp.Wheel] = (stamp.read(path, self.built.credential) for path in paths)
        if preview.names is not None:
            forks.check_files(paths, preview.names)
            read = forks.bounded(read)
        elif self._settings.packages != (".",):
            raise beside_dist(f"A project ({self._settings.packages[0]})")
        wheels = sorted(read, key=attrgetter("name"))
        if not wheels:
            raise BadInput(
                "`dist` has sdists alone, and a preview is made of wheels.",
                fix="build wheels, and give them as `dist`",
                anchor="preview-inputs",
            )
        siblings = Siblings(preview, (), 0)
        for name, group in groupby(wheels, key=attrgetter("name")):
            held = Held(name, list(group), unnamed=False)
            if len({tuple(each.filename.split("-")[:2]) for each in held.wheels}) > 1:
                raise _different_versions(held)
            siblings.add(held)
        return self._packages(file for held, _ in siblings.ready() for file in self._stamp(held, siblings, folder))

    def promoted(self, promotion: "Promotion", folder: Path) -> list[Package]:
        """Return the packages of a promotion, fetched into a folder.

        Raises:
            Failure: A version is missing, cannot be read, or must not be published; nothing was uploaded.
        """
        from gar_publish.publish.promote import PromotionSource, refuse_previews  # only `promote-from` needs it

        refuse_previews(promotion.pins)
        access = self._destination.open_source(promotion.source)
        source = PromotionSource(promotion.source, access, self._readers, folder, self._context.console.info)
        try:
            fetched = source.fetch(promotion.pins, with_dependencies=promotion.with_dependencies)
        except RegistryRefused as failure:
            raise access.explain(failure, self._settings.credential, publishes=False) from None
        return self._packages(fetched)

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


def _requires_lost(label: str, name: str) -> BuildFailure:
    return BuildFailure(
        f"{label} requires {name}, which was not built, so no preview of {label} can be installed.",
        fix=f"correct the build of {name}",
        anchor="build-failed",
    )


def _different_versions(held: "Held") -> BuildFailure:
    return BuildFailure(
        f"The wheels of {held.label} have different versions: {' and '.join(each.filename for each in held.wheels)}.",
        cause="a preview has one version of each package, and wheels of an earlier build are still there",
        fix="give the wheels of one version as `dist`",
        anchor="different-versions",
    )


def _not_published(name: str) -> BuildFailure:
    return BuildFailure(
        f"A build needs {name}, which this run has not published. gar-publish does not take it from another index.",
        cause=f"{name} failed, or waits for packages that come only after this build, or this is a dry run or a "
        "rehearsal",
        fix=f"publish {name} first, in a run of its own",
        anchor="build-requirements",
    )
