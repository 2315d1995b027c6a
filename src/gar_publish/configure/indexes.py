"""The indexes that a TOML file of uv, Poetry or PDM lists, and which of them allow dependency confusion."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from gar_publish.configure import toml
from gar_publish.configure.files import parsed
from gar_publish.settings.index_url import redacted, same_index

_CONFUSION = (
    "{name} is not an explicit index in {path}, so another index can supply a package of the same name (dependency "
    "confusion). Pin hashes, or use an explicit index in the project and name the packages that come from it."
)
_STILL_ALONE = (
    "{path} still replaces PyPI by this repository. To use PyPI, too, remove the index `{name}` there, and run this "
    "again."
)


@dataclass(frozen=True)
class Indexes:
    """The indexes of one file.

    Attributes:
        path: The file.
        explicit: The key and value of an explicit index, which supplies only packages that name it; None if the tool
            has no such indexes.
        replaces_pypi: Whether an index is used in place of PyPI.
        listed: The indexes.
    """

    path: Path
    explicit: tuple[str, object] | None
    replaces_pypi: Callable[[Mapping[str, Any]], bool]
    listed: Sequence[Mapping[str, Any]]

    @classmethod
    def read(
        cls,
        path: Path,
        keys: tuple[str, ...],
        *,
        explicit: tuple[str, object] | None = None,
        replaces_pypi: Callable[[Mapping[str, Any]], bool],
    ) -> Self:
        """Read the indexes of a file.

        Raises:
            BadInput: The file cannot be read or parsed.
        """
        return cls(path, explicit, replaces_pypi, parsed(path, partial(toml.entries, keys=keys)))

    def name_of(self, url: str) -> str | None:
        """Return the name of the index with this URL, with or without a user name."""
        names = (each.get("name") for each in self.listed if same_index(str(each.get("url", "")), url))
        return next((str(name) for name in names if name), None)

    def warnings(self, name: str, *, only: bool, new_is_explicit: bool) -> tuple[str, ...]:
        """Return warnings of settings that are kept.

        Args:
            name: The index that is written.
            only: Whether it should be the only one.
            new_is_explicit: Whether it is made explicit if it is new.
        """
        others = [
            str(each.get("name") or redacted(str(each.get("url"))))
            for each in self.listed
            if each.get("name") != name and not self._is_explicit(each)
        ]
        if only:
            return (f"{self.path} still lists other indexes: {', '.join(others)}.",) if others else ()
        known = next((each for each in self.listed if each.get("name") == name), None)
        if known and self.replaces_pypi(known) and not others:
            return (_STILL_ALONE.format(name=name, path=self.path),)
        is_explicit = self._is_explicit(known) if known else new_is_explicit
        return () if is_explicit else (_CONFUSION.format(name=name, path=self.path),)

    def _is_explicit(self, index: Mapping[str, Any]) -> bool:
        return self.explicit is not None and index.get(self.explicit[0]) == self.explicit[1]
