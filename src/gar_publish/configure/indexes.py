"""Which indexes a TOML file of uv, Poetry or PDM lists already, and what of that lets strangers in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from gar_publish.configure import toml
from gar_publish.configure.files import read, understood
from gar_publish.settings.index_url import same_index, url_without_login

_CONFUSION = (
    "{name} is not an explicit index in {path}, so a package may come from another index that has its name (dependency "
    "confusion). Pin hashes, or have an explicit index in the project, and name what comes from it."
)


@dataclass(frozen=True)
class Sources:
    """The indexes of one file.

    Attributes:
        path: The file.
        keys: Where its list of indexes is.
        explicit: What an index says that gives only the packages that name it; None where there are none such.
        listed: The indexes.
    """

    path: Path
    keys: tuple[str, ...]
    explicit: tuple[str, object] | None
    listed: Sequence[Mapping[str, Any]]

    @classmethod
    def read(cls, path: Path, keys: tuple[str, ...], explicit: tuple[str, object] | None = None) -> Self:
        """Find out what a file lists.

        Raises:
            BadInput: It cannot be read or understood.
        """
        return cls(path, keys, explicit, understood(path, partial(toml.entries, keys=keys), read(path)))

    def name_of(self, url: str) -> str | None:
        """The name of the index that has this URL already, with or without a user name."""
        names = (each.get("name") for each in self.listed if same_index(str(each.get("url", "")), url))
        return next((str(name) for name in names if name), None)

    def warnings(self, name: str, *, only: bool, new_is_explicit: bool) -> tuple[str, ...]:
        """What the person should know of settings that are kept.

        Args:
            name: The index that is written.
            only: Whether no other is wanted.
            new_is_explicit: Whether it is made explicit where it is new.
        """
        if only:
            others = [
                str(each.get("name") or url_without_login(str(each.get("url"))))
                for each in self.listed
                if each.get("name") != name and not self._is_explicit(each)
            ]
            return (f"{self.path} lists other indexes too, and keeps them: {', '.join(others)}.",) if others else ()
        known = next((each for each in self.listed if each.get("name") == name), None)
        is_explicit = self._is_explicit(known) if known else new_is_explicit
        return () if is_explicit else (_CONFUSION.format(name=name, path=self.path),)

    def _is_explicit(self, index: Mapping[str, Any]) -> bool:
        return self.explicit is not None and index.get(self.explicit[0]) == self.explicit[1]
