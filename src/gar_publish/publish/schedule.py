"""The order of uploads: a package goes after everything that it requires."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gar_publish.distributions.distribution import Distribution
from gar_publish.projects import graph


@dataclass
class Package:
    """All files of one name, which are compared together and uploaded side by side.

    Attributes:
        name: The normalised name.
        files: The files.
        required: The names that it requires, without its own.
        optional: The names that only its extras require.
        unnamed: Whether its name was not known before it was built.
        unfinished: How many files are not finished.
    """

    name: str
    files: Sequence[Distribution]
    required: set[str]
    optional: set[str]
    unnamed: bool
    unfinished: int

    @classmethod
    def of(cls, files: Sequence[Distribution], *, unnamed: bool = False) -> "Package":
        name = files[0].name
        required = {each for file in files for each in file.requires} - {name}
        optional = {each for file in files for each in file.optional} - {name}
        return cls(name, files, required, optional, unnamed, len(files))


class Schedule:
    """Knows which packages are still to come, wait, have landed or have failed. Its owner locks it.

    Args:
        expected: The names of the packages that will be added or left out.
        unnamed: How many packages without a known name will be. Until then nothing is released.
    """

    def __init__(self, expected: Iterable[str], unnamed: int) -> None:
        self._expected = set(expected)
        self._unnamed = unnamed
        self._packages: dict[str, Package] = {}
        self.waiting: dict[str, Package] = {}
        self.landed: set[str] = set()
        self.failed: set[str] = set()

    def expect(self, names: Iterable[str]) -> None:
        """Expect more packages, before the first is added."""
        self._expected.update(names)

    def expect_nothing(self) -> None:
        """Expect no more packages."""
        self._expected.clear()
        self._unnamed = 0

    def add(self, package: Package) -> None:
        """Add a package that is about to be compared."""
        self._packages[package.name] = package
        self._arrived(package.name, unnamed=package.unnamed)

    def leave_out(self, name: str | None, *, landed: bool) -> None:
        """Expect a package no more: it failed, or has landed. The name is None if it was never known."""
        self._arrived(name, unnamed=name is None)
        if name:
            (self.landed if landed else self.failed).add(name)

    def wait(self, package: Package) -> None:
        """Let a compared package wait for its requirements, unless it has failed. A cycle of extras opens."""
        if package.name not in self.failed:
            self.waiting[package.name] = package
            self._open_cycles(package.name)

    def released(self) -> Iterator[tuple[Package, str | None]]:
        """Release the packages that need not wait any longer. A package that fails here may release others.

        What only an extra requires comes first where it can, but its failure fails nothing else.

        Yields:
            A package, and the failed package that it requires; None if it may go.
        """
        changed = not self._unnamed
        while changed:
            changed = False
            for package in list(self.waiting.values()):
                failed = package.required & self.failed
                if failed or all(map(self._is_settled, package.required | package.optional)):
                    del self.waiting[package.name]
                    self.failed |= {package.name} if failed else set()
                    changed = True
                    yield package, min(failed, default=None)

    def unmet(self, package: Package) -> list[tuple[str, Requirement]]:
        """Return the requirements on packages of this run whose versions do not fit, each with a file that has it."""
        return [
            (file.filename, requirement)
            for file in package.files
            for requirement in file.requirements
            if (other := self._packages.get(canonicalize_name(requirement.name)))
            and not requirement.marker
            and not any(requirement.specifier.contains(each.version, prereleases=True) for each in other.files)
        ]

    def finish_file(self, name: str) -> None:
        """Count a finished file of a package. With the last one, the package has landed."""
        package = self._packages[name]
        package.unfinished -= 1
        if not package.unfinished:
            self.landed.add(name)

    def refuse_cycles(self) -> None:
        """Raise BadInput if waiting packages require each other."""
        graph.refuse_cycles({name: package.required for name, package in self.waiting.items()})

    def _arrived(self, name: str | None, *, unnamed: bool) -> None:
        self._expected.discard(name or "")
        self._unnamed -= unnamed

    def _open_cycles(self, name: str) -> None:
        """Ignore the requirements of extras that close a cycle with a package that has begun to wait."""
        near, ahead = dict[str, Package](), {name}
        while ahead:
            near |= {each: self.waiting[each] for each in ahead}
            required = {each for one in ahead for each in near[one].required | near[one].optional}
            ahead = (required & self.waiting.keys()) - near.keys()
        order = graph.requirements(
            {each: package.required for each, package in near.items()},
            {each: package.optional for each, package in near.items()},
        )
        for each, package in near.items():
            package.optional -= near.keys() - order[each]

    def _is_settled(self, name: str) -> bool:
        is_done = name in self.landed or name in self.failed
        return is_done or (name not in self._expected and name not in self._packages)
