"""The wheels of one preview, which require each other's exact versions."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from gar_publish.previews.origin import Preview
from gar_publish.previews.stamp import Wheel


class Held(NamedTuple):
    """The built wheels of one package.

    Attributes:
        label: The folder of the project.
        wheels: The wheels.
        unnamed: Whether the name was not known before the build.
    """

    label: str
    wheels: Sequence[Wheel]
    unnamed: bool

    @property
    def requires(self) -> frozenset[str]:
        return frozenset[str]().union(*(each.requires for each in self.wheels))


class Siblings:
    """Holds the wheels of a package until all packages that they require are built: only then are the versions known.

    Args:
        preview: The preview.
        expected: The names of the packages that will be built.
        unnamed: How many packages without a known name will be.

    Attributes:
        versions: The versions of the packages that are built, by name.
        held: The packages that wait, by name.
    """

    def __init__(self, preview: Preview, expected: Iterable[str], unnamed: int) -> None:
        self._preview = preview
        self._expected = set(expected)
        self._unnamed = unnamed
        self._lost: set[str] = set()
        self.versions: dict[str, str] = {}
        self.held: dict[str, Held] = {}

    def add(self, built: Held) -> None:
        """Add a built package.

        Raises:
            BadInput: Its version would be too long.
        """
        first = built.wheels[0]
        self.versions[first.name] = self._preview.version(first.version)
        self.held[first.name] = built
        self._expected.discard(first.name)
        self._unnamed -= built.unnamed

    def lose(self, name: str | None) -> None:
        """Expect a package no more: it could not be built. The name is None if it was never known."""
        self._unnamed -= name is None
        if name:
            self._expected.discard(name)
            self._lost.add(name)

    def ready(self) -> Iterator[tuple[Held, str | None]]:
        """Release the packages that need not wait any longer.

        Yields:
            A package, and one that it requires but that could not be built; None if it can be stamped.
        """
        for name, each in list(self.held.items()) if not self._unnamed else ():
            if not each.requires & self._expected:
                del self.held[name]
                yield each, min(each.requires & self._lost, default=None)
