"""Fetches the files of chosen versions from the repository to promote from."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from gar_publish.distributions import distribution, filenames
from gar_publish.distributions.distribution import Distribution, is_needed
from gar_publish.errors import BadInput, Failure, FileRefused, RegistryRefused
from gar_publish.previews.versions import label_of
from gar_publish.registry.access import Access
from gar_publish.registry.index import IndexFile
from gar_publish.settings.promotion import Pin
from gar_publish.settings.repository import Repository
from gar_publish.threads import result

_SHOWN_VERSIONS = 10

Key = tuple[str, Version]


def refuse_previews(pins: Iterable[Pin]) -> None:
    """Refuse to promote the preview of a pull request or a branch.

    Raises:
        BadInput: A version is a preview.
    """
    for pin in pins:
        if label := label_of(str(pin.version)):
            raise BadInput(
                f"{pin.name} {pin.version} is a preview ({label}), and previews are not promoted.",
                cause="it requires other previews, and all of them are deleted when the pull request is closed",
                fix="publish a release of this commit, and promote that",
                anchor="promote-preview",
            )


class PromotionSource:
    """A repository to promote from.

    Args:
        repository: The repository.
        access: Reads it.
        readers: The threads that read files.
        folder: Where the files go.
        say: Called with a line for each dependency that is promoted too.
    """

    def __init__(
        self, repository: Repository, access: Access, readers: Executor, folder: Path, say: Callable[[str], None]
    ) -> None:
        self._repository = repository
        self._access = access
        self._readers = readers
        self._folder = folder
        self._say = say
        self._listed: dict[str, Future[Mapping[str, IndexFile]]] = {}

    def fetch(self, pins: Iterable[Pin], *, with_dependencies: bool) -> list[Distribution]:
        """Fetch every file of these versions, and check its hash and metadata.

        Args:
            pins: The versions.
            with_dependencies: Whether to fetch their requirements too, if the repository has a package of that name:
                the highest version that fits, unless another fetched version fits. Markers are taken to be true.

        Raises:
            RegistryRefused: The repository lacks a version, or serves a file with different contents than its index
                lists.
            Failure: It cannot be read, or a file must not be published.
        """
        found: dict[Key, list[Distribution]] = {}
        public = set[str]()
        waiting, done = list(dict.fromkeys(pins)), set[Pin]()
        while waiting:
            missing = [key for key in dict.fromkeys((pin.name, pin.version) for pin in waiting) if key not in found]
            found |= zip(missing, self._fetch(missing), strict=True)
            done |= set(waiting)
            required = [each for pin in waiting for each in _required(found[pin.name, pin.version], pin.extras)]
            waiting = []
            if not with_dependencies:
                break
            for requirement, _ in required:
                self._look_up(canonicalize_name(requirement.name))
            for requirement, dependent in required:
                name = canonicalize_name(requirement.name)
                if not self._versions(name):
                    public.add(name)
                    continue
                pin = self._choose(requirement, dependent, {*found, *((each.name, each.version) for each in waiting)})
                if pin not in done and pin not in waiting:
                    waiting.append(pin)
        if public:
            names = ", ".join(sorted(public))
            self._say(f"{self._repository} does not have {names}; gar-publish assumes that a public index does.")
        return list(chain.from_iterable(found.values()))

    def _fetch(self, keys: Collection[Key]) -> Iterator[list[Distribution]]:
        for name, _ in keys:
            self._look_up(name)
        listed = [(name, self._files(name, version)) for name, version in keys]
        started = [[self._readers.submit(self._file, name, each) for each in files.values()] for name, files in listed]
        for files in started:
            yield [result(each) for each in files]

    def _file(self, name: str, listed: IndexFile) -> Distribution:
        path = self._folder / listed.filename
        try:
            sha256 = self._access.index.read_sha256(listed, copy=path)
        except OSError as error:
            raise BadInput(
                f"{listed.filename} cannot be stored on this machine: {error.strerror}.",
                fix="make room, or set TMPDIR to a folder on a larger disk",
                anchor="no-room",
            ) from None
        if listed.sha256 != sha256:
            raise FileRefused(
                f"{listed.filename} in {self._repository} does not match its index: downloaded sha256 "
                f"{sha256 or 'unknown (larger than listed)'}, index sha256 {listed.sha256 or 'not listed'}.",
                cause="the registry's copy is damaged, or a proxy changes files",
                fix=self._repository.to_compare(name),
                anchor="source-contents",
            )
        return distribution.read(path)

    def _choose(self, requirement: Requirement, dependent: str, fetched: Collection[Key]) -> Pin:
        """Return the version that fulfils a requirement of `dependent`."""
        name, extras = canonicalize_name(requirement.name), frozenset(map(canonicalize_name, requirement.extras))
        fetched_versions = [version for other, version in fetched if other == name]
        if fits := [each for each in fetched_versions if requirement.specifier.contains(each, prereleases=True)]:
            return Pin(name, max(fits), extras)
        releases = [each for each in self._versions(name) if not label_of(str(each))]
        if not (fits := list(requirement.specifier.filter(releases))):
            raise self._lacks(f"a version of {name} that {dependent} can use ({requirement})", name)
        chosen = max(fits)
        self._say(
            f"{dependent} requires {requirement}: {name} {chosen}, the highest version that fits, is promoted too."
        )
        return Pin(name, chosen, extras)

    def _files(self, name: str, version: Version) -> Mapping[str, IndexFile]:
        files = self._versions(name).get(version)
        if not files:
            raise self._lacks(f"{name} {version}", name)
        return files

    def _versions(self, name: str) -> Mapping[Version, Mapping[str, IndexFile]]:
        return filenames.by_version(result(self._look_up(name)), name)

    def _look_up(self, name: str) -> "Future[Mapping[str, IndexFile]]":
        if name not in self._listed:
            self._listed[name] = self._readers.submit(self._access.files, name)
        return self._listed[name]

    def _lacks(self, what: str, name: str) -> Failure:
        versions = sorted(self._versions(name), reverse=True)
        shown = ", ".join(map(str, versions[:_SHOWN_VERSIONS]))
        more = f" and {len(versions) - _SHOWN_VERSIONS} older ones" if len(versions) > _SHOWN_VERSIONS else ""
        return RegistryRefused(
            f"{self._repository} does not have {what}.",
            cause=f"the repository has {name} {shown}{more}"
            if versions
            else f"the repository has no version of {name}",
            fix="choose a version that the repository has, or publish the missing version there first",
            anchor="promote-missing",
        )


def _required(files: Collection[Distribution], extras: frozenset[str]) -> Iterator[tuple[Requirement, str]]:
    """Yield the requirements of a version with these extras, each with the version's name for messages."""
    # Wheels of several platforms may have different requirements.
    requirements = dict.fromkeys(requirement for each in files for requirement in each.requirements)
    dependent = f"{next(iter(files)).name} {next(iter(files)).version}"
    for requirement in requirements:
        if is_needed(requirement, extras):
            yield requirement, dependent
