"""Promotion: the files of chosen versions, fetched from the repository that has them."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future
from itertools import chain
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from gar_publish.distributions import distribution, filenames
from gar_publish.distributions.distribution import Distribution, is_needed
from gar_publish.errors import BadInput, Failure, FileRefused, RegistryRefused
from gar_publish.registry.access import Access
from gar_publish.registry.index import IndexFile
from gar_publish.settings.promotion import Pin
from gar_publish.settings.repository import Repository
from gar_publish.threads import result

_SHOWN_VERSIONS = 10

Key = tuple[str, Version]


class Source:
    """A repository that is promoted from.

    Args:
        repository: The repository.
        access: Reads it.
        pool: Where files are read side by side.
        folder: Where they go.
        say: Told what else is promoted, and why.
    """

    def __init__(
        self, repository: Repository, access: Access, pool: Executor, folder: Path, say: Callable[[str], None]
    ) -> None:
        self._repository = repository
        self._access = access
        self._pool = pool
        self._folder = folder
        self._say = say
        self._listed: dict[str, Future[Mapping[str, IndexFile]]] = {}

    def fetch(self, pins: Iterable[Pin], *, with_dependencies: bool) -> list[Distribution]:
        """Fetch every file of these versions: its hash is the one that the index lists, and its metadata are checked.

        Args:
            pins: The versions.
            with_dependencies: Fetch what they require as well, as far as the repository has a package of that name: the
                highest version that will do, unless one that is fetched already will. Markers are taken to be true.

        Raises:
            RegistryRefused: The repository lacks a version, or serves other bytes than its index says.
            Failure: It cannot be read, or a file must not be published.
        """
        found: dict[Key, list[Distribution]] = {}
        public = set[str]()
        ahead, done = list(dict.fromkeys(pins)), set[Pin]()
        while ahead:
            missing = [key for key in dict.fromkeys((pin.name, pin.version) for pin in ahead) if key not in found]
            found |= zip(missing, self._fetch(missing), strict=True)
            done |= set(ahead)
            required = [each for pin in ahead for each in _required(found[pin.name, pin.version], pin.extras)]
            ahead = []
            if not with_dependencies:
                break
            for requirement, _ in required:
                self._look_up(canonicalize_name(requirement.name))
            for requirement, whose in required:
                name = canonicalize_name(requirement.name)
                if not self._versions(name):
                    public.add(name)
                    continue
                pin = self._choose(requirement, whose, {*found, *((each.name, each.version) for each in ahead)})
                if pin not in done and pin not in ahead:
                    ahead.append(pin)
        if public:
            self._say(f"{self._repository} lacks {', '.join(sorted(public))}, which is taken to be public.")
        return list(chain.from_iterable(found.values()))

    def _fetch(self, keys: Collection[Key]) -> Iterator[list[Distribution]]:
        for name, _ in keys:
            self._look_up(name)
        listed = [self._files(name, version) for name, version in keys]
        started = [[self._pool.submit(self._file, each) for each in files.values()] for files in listed]
        for files in started:
            yield [result(each) for each in files]

    def _file(self, listed: IndexFile) -> Distribution:
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
                f"{self._repository} serves {listed.filename} with different contents: "
                f"sha256 {sha256 or 'of a longer file'}, its index lists {listed.sha256 or 'none'}.",
                cause="the registry's copy is damaged, or a proxy changes files",
                fix="compare with: gcloud artifacts files list --repository="
                f"{self._repository.name} --location={self._repository.location} --project={self._repository.project}",
                anchor="source-contents",
            )
        return distribution.read(path)

    def _choose(self, requirement: Requirement, whose: str, fetched: Collection[Key]) -> Pin:
        """The version that fulfils a requirement of `whose`."""
        name, extras = canonicalize_name(requirement.name), frozenset(map(canonicalize_name, requirement.extras))
        fetched_too = [version for theirs, version in fetched if theirs == name]
        if fits := [each for each in fetched_too if requirement.specifier.contains(each, prereleases=True)]:
            return Pin(name, max(fits), extras)
        if not (fits := list(requirement.specifier.filter(self._versions(name)))):
            raise self._lacks(f"a version of {name} that {whose} can use ({requirement})", name)
        chosen = max(fits)
        self._say(f"{whose} requires {requirement}: {name} {chosen} is promoted too, the highest that will do.")
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
            self._listed[name] = self._pool.submit(self._access.files, name)
        return self._listed[name]

    def _lacks(self, what: str, name: str) -> Failure:
        versions = sorted(self._versions(name), reverse=True)
        shown = ", ".join(map(str, versions[:_SHOWN_VERSIONS]))
        more = f" and {len(versions) - _SHOWN_VERSIONS} older ones" if len(versions) > _SHOWN_VERSIONS else ""
        return RegistryRefused(
            f"{self._repository} does not have {what}.",
            cause=f"of {name} it has {shown}{more}" if versions else f"it has no version of {name} at all",
            fix="name a version that it has, or publish this one there first",
            anchor="promote-missing",
        )


def _required(files: Collection[Distribution], extras: frozenset[str]) -> Iterator[tuple[Requirement, str]]:
    """What a version requires, and what to call it; wheels of several platforms may differ."""
    lines = dict.fromkeys(line for each in files for line in each.package.metadata.get("requires_dist") or [])
    whose = f"{next(iter(files)).name} {next(iter(files)).version}"
    for line in lines:
        try:
            requirement = Requirement(line)
        except (InvalidRequirement, RecursionError):
            continue
        if is_needed(requirement, extras):
            yield requirement, whose
