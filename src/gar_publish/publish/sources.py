"""What a run publishes, package by package: built from projects, collected from files, or fetched from a repository."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gar_publish.context import Context
from gar_publish.distributions import distribution, filenames
from gar_publish.distributions.distribution import Distribution
from gar_publish.errors import BuildFailure, Failure
from gar_publish.projects import graph as order
from gar_publish.projects.find import Project, requirements, same_name
from gar_publish.publish.delivery import Delivery
from gar_publish.publish.destination import Target
from gar_publish.registry.outcomes import HeldFile, NotBuilt, PublishedFile
from gar_publish.settings.index_url import Login, url_with_login
from gar_publish.settings.settings import Settings
from gar_publish.threads import result

if TYPE_CHECKING:
    from gar_publish.builder.builds import Built
    from gar_publish.settings.promotion import Promotion


class Supplied(NamedTuple):
    """A package that is to be published.

    Attributes:
        files: All of its files.
        unnamed: Whether nobody knew its name before.
    """

    files: list[Distribution]
    unnamed: bool = False


class Supply:
    """The packages of one run, and what becomes of those that bring no file.

    Args:
        settings: What was asked.
        context: Where the run happens.
        projects: What is to be built; nothing where files are given or fetched.
        target: Where packages are published.
        delivery: Learns which packages will not come.
        readers: Where servers are asked side by side.

    Attributes:
        held: The files that the registry holds, and that are not built again.
        not_built: The projects whose builds failed.
    """

    def __init__(
        self,
        settings: Settings,
        context: Context,
        projects: Sequence[Project],
        *,
        target: Target,
        delivery: Delivery,
        readers: Executor,
    ) -> None:
        self._settings = settings
        self._context = context
        self._projects = projects
        self._target = target
        self._delivery = delivery
        self._readers = readers
        self._names = {project.name: project for project in projects if project.name}
        self._needed_for_builds = _needed_for_builds(projects)
        self.held: list[PublishedFile] = []
        self.not_built: list[NotBuilt] = []

    def to_build(self) -> Sequence[Project]:
        """All projects but those whose versions the index has, if `if-exists: skip` leaves them alone.

        Raises:
            Failure: The registry does not let this run in, or does not answer.
        """
        if self._settings.if_exists != "skip":
            return self._projects
        known = [(project, self._readers.submit(self._holds, project)) for project in self._projects]
        to_build = []
        for project, holding in known:
            if held := result(holding):
                self.held += held
                self._delivery.leave_out(project.name, landed=True)
            else:
                to_build.append(project)
        return to_build

    def private_index(self, names: Collection[str]) -> str | None:
        """The repository's index with a reading token, if it holds any of these build requirements.

        Those that this run publishes itself are waited for: as long as they are not there, anybody may have put another
        package of their name elsewhere.

        Raises:
            Failure: One of them is not there, or the repository cannot be read.
        """
        for name in self._needed_for_builds.intersection(names):
            if not self._delivery.has_landed(name) or self._settings.dry_run:
                raise _not_there(name)
        if not any(name in self._needed_for_builds or self._target.access.files(name) for name in names):
            return None
        token = self._target.access.build_token()
        return url_with_login(self._settings.repository.index_url, Login(token.user, token.value))

    def built(self, builds: Iterable["Built"]) -> Iterator[Supplied]:
        """What builds bring, as they end; where one of several fails, the others go on."""
        import twine.package  # noqa: F401 - slow to import, and builds have just begun

        for built in builds:
            project = built.project
            try:
                if built.failure:
                    raise built.failure
                found = [distribution.read(path) for path in built.files]
                for each in found:
                    distribution.check_name(each, project)
                self._refuse_second(found[0].name, project)
            except Failure as failure:
                if len(self._projects) == 1:
                    raise
                self.not_built.append(NotBuilt(project.label, failure))
                self._delivery.leave_out(project.name)
            else:
                yield Supplied(found, unnamed=project.name is None)

    def collected(self) -> list[Supplied]:
        """What `dist` names.

        Raises:
            Failure: It names nothing, or something that must not be published.
        """
        from gar_publish.distributions import prebuilt  # other runs do without

        paths = prebuilt.collect(self._settings.dist, self._context.workspace)
        return self._by_name(map(distribution.read, paths))

    def fetched(self, promotion: "Promotion", folder: Path) -> list[Supplied]:
        """What is promoted, from the repository that has it.

        Args:
            promotion: What is promoted.
            folder: Where files are kept meanwhile.

        Raises:
            Failure: It is not there, or cannot be read, or must not be published; nothing was uploaded.
        """
        from gar_publish.publish.promote import Source  # other runs do without

        access = self._target.open_source(promotion.source)
        source = Source(promotion.source, access, self._readers, folder, self._context.console.info)
        return self._by_name(source.fetch(promotion.pins, with_dependencies=promotion.with_dependencies))

    def _by_name(self, found: Iterable[Distribution]) -> list[Supplied]:
        found = sorted(found, key=attrgetter("name"))
        packages = [list(files) for _, files in groupby(found, key=attrgetter("name"))]
        required = {files[0].name: {name for each in files for name in each.requires} for files in packages}
        order.refuse_cycles(required)
        self._delivery.expect(required)
        return [Supplied(files) for files in packages]

    def _holds(self, project: Project) -> list[PublishedFile]:
        """The files of a project's version in the index, if they are all that a build could bring."""
        if not project.name or not project.version:
            return []
        held = filenames.universal(self._target.files(project.name), project.name, project.version)
        if not self._settings.formats <= held.keys():
            return []
        return [
            PublishedFile(
                HeldFile(listed.filename, project.name, project.version),
                "skipped",
                listed.sha256 or self._target.index().read_sha256(listed),
                listed.url,
            )
            for kind, listed in held.items()
            if kind in self._settings.formats
        ]

    def _refuse_second(self, name: str, project: Project) -> None:
        other = self._names.setdefault(name, project)
        if other is not project:
            self._delivery.leave_out(name)  # neither goes: nobody knows which one is meant
            raise same_name(name, other, project)


def _needed_for_builds(projects: Sequence[Project]) -> set[str]:
    """The names that builds of this run require of it, but those that cannot come first."""
    graph = requirements(projects)
    pairs = {(project.key, name) for project in projects for name in project.build_requires & graph.keys()}
    return {name for _, name in pairs} - {name for key, name in pairs if name not in graph[key]}


def _not_there(name: str) -> BuildFailure:
    return BuildFailure(
        f"A build needs {name}, which this run was to publish before, and did not.",
        cause=f"{name} failed, or this is a dry run. In other indexes anybody may put one of its name.",
        fix=f"publish {name} first, in a run of its own",
        anchor="build-requirements",
    )
