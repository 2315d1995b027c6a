"""What is to be promoted: exact versions, as `NAME==VERSION`."""

from collections.abc import Iterable
from typing import NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from gar_publish.errors import BadInput


class Pin(NamedTuple):
    """One version of a package.

    Attributes:
        name: Its normalised name (PEP 503).
        version: The version.
        extras: The normalised names of the extras whose requirements count as well.
    """

    name: str
    version: Version
    extras: frozenset[str] = frozenset()


def read_pins(lines: Iterable[str]) -> tuple[Pin, ...]:
    """Read `NAME==VERSION` or `NAME[EXTRA]==VERSION` (PEP 508), each once.

    Raises:
        BadInput: Something else is there.
    """
    return tuple(dict.fromkeys(map(_read, lines)))


def _read(line: str) -> Pin:
    try:
        requirement = Requirement(line)
        (specifier,) = requirement.specifier
        if specifier.operator == "==" and not requirement.url and not requirement.marker:
            extras = frozenset(map(canonicalize_name, requirement.extras))
            return Pin(canonicalize_name(requirement.name), Version(specifier.version), extras)
    except (InvalidRequirement, RecursionError, ValueError):  # ValueError: no specifier, several, or ==1.*
        pass
    raise BadInput(
        f"{line[:100]!r} names no version to promote.",
        cause="what is promoted has one version: the one that was tried out",
        fix="give it as NAME==VERSION, such as hello==1.2.3",
        anchor="promote-what",
    )
