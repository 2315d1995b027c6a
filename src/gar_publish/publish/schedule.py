"""Which packages of a run may go, and which never will: what each requires has to be there before it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from gar_publish.distributions.distribution import Distribution
from gar_publish.projects import graph as order


@dataclass
class Package:
    """All files of one name, which are compared together and sent side by side.

    Attributes:
        name: The name.
        files: The files.
        required: What it requires, itself aside.
        optional: What its extras alone require.
        left: How many files are not done yet.
    """

    name: str
    files: Sequence[Distribution]
    required: set[str]
    optional: set[str]
    left: int

    @classmethod
    def of(cls, files: Sequence[Distribution]) -> "Package":
        name = files[0].name
        required = {each for file in files for each in file.requires} - {name}
        optional = {each for file in files for each in file.optional} - {name}
        return cls(name, files, required, optional, left=len(files))


class Schedule:
    """Knows what is to come, what waits, what has landed and what has failed. Its owner lets one thread in at a time.

    Args:
        coming: The packages that will be added or left out.
        unnamed: How many more will be, whose names nobody knows yet. Until they are there, nothing may go.
    """

    def __init__(self, coming: Iterable[str], unnamed: int) -> None:
        self._coming = set(coming)
        self._unnamed = unnamed
        self._packages: dict[str, Package] = {}
        self.waiting: dict[str, Package] = {}
        self.landed: set[str] = set()
        self.failed: set[str] = set()

    def expect(self, names: Iterable[str]) -> None:
        """Say which packages will be added, before the first one is."""
        self._coming.update(names)

    def expect_nothing(self) -> None:
        """Say that nothing will be added any more."""
        self._coming.clear()
        self._unnamed = 0

    def add(self, package: Package, *, unnamed: bool) -> None:
        """Take a package that has come, and is to be compared; `unnamed` if nobody knew its name."""
        self._packages[package.name] = package
        self._arrived(package.name, unnamed=unnamed)

    def leave_out(self, name: str | None, *, landed: bool) -> None:
        """Take note that a package will not come: it failed before, or has landed."""
        self._arrived(name, unnamed=name is None)
        if name:
            (self.landed if landed else self.failed).add(name)

    def wait(self, package: Package) -> None:
        """Let a package that was compared wait for what it requires, unless it has failed."""
        if package.name not in self.failed:
            self.waiting[package.name] = package

    def released(self) -> Iterator[tuple[Package, str | None]]:
        """The packages that need not wait any more; what lands or fails on the way may release others.

        Yields:
            A package, and the one that failed which it requires. None where it may go.
        """
        moved = not self._unnamed
        while moved:
            moved = False
            for package in list(self.waiting.values()):
                needed = package.required | package.optional
                failed = needed & self.failed
                if failed or all(map(self._is_there, needed)):
                    del self.waiting[package.name]
                    self.failed |= {package.name} if failed else set()
                    moved = True
                    yield package, min(failed, default=None)

    def done(self, name: str) -> None:
        """Take note that a file of a package needs nothing more; the last one lands it."""
        package = self._packages[name]
        package.left -= 1
        if not package.left:
            self.landed.add(name)

    def open_cycles(self) -> None:
        """Wait no more for what only an extra requires, where that closes a cycle."""
        waiting = self.waiting.items()
        graph = order.requirements(
            {name: package.required for name, package in waiting}, {name: package.optional for name, package in waiting}
        )
        for name, package in waiting:
            package.optional &= graph[name]

    def refuse_cycles(self) -> None:
        """Check that nothing waits in a cycle.

        Raises:
            BadInput: Packages require each other.
        """
        order.refuse_cycles({name: package.required for name, package in self.waiting.items()})

    def _arrived(self, name: str | None, *, unnamed: bool) -> None:
        self._coming.discard(name or "")
        self._unnamed -= unnamed

    def _is_there(self, name: str) -> bool:
        return name in self.landed or (name not in self._coming and name not in self._packages)
