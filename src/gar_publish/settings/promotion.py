"""The exact versions to promote, and the repository that has them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from gar_publish.errors import BadInput
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.repository import Repository


class Pin(NamedTuple):
    """One version of a package.

    Attributes:
        name: Its normalised name (PEP 503).
        version: The version.
        extras: The normalised names of the extras whose dependencies are promoted as well.
    """

    name: str
    version: Version
    extras: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Promotion:
    """The versions that are copied from another repository; nothing is built.

    Attributes:
        source: The repository that has them, in Artifact Registry.
        pins: The versions.
        with_dependencies: Whether their dependencies are copied as well.
    """

    source: Repository
    pins: tuple[Pin, ...]
    with_dependencies: bool


def read_pins(lines: Iterable[str]) -> tuple[Pin, ...]:
    """Read `NAME==VERSION` or `NAME[EXTRA]==VERSION` (PEP 508), without duplicates.

    Raises:
        BadInput: A line does not name one version.
    """
    return tuple(dict.fromkeys(map(_read_pin, lines)))


def read_source(text: str, target: Repository, endpoints: Endpoints) -> Repository:
    """Return the repository to promote from; a bare name takes the target's project and location.

    Raises:
        BadInput: It is no repository of Artifact Registry, or it is the target.
    """
    beside = {"project": target.project or "", "location": target.location or ""} if "/" not in text else {}
    try:
        source = Repository.parse(text, **beside, endpoints=endpoints)
    except BadInput as failure:
        raise failure.translated(lambda words: words.replace("`repository", "`promote-from")) from None
    if source.resource is None:
        raise BadInput(
            f"`promote-from` is {source}, which is not Artifact Registry, so no token is sent there.",
            fix="set `promote-from` to LOCATION/PROJECT/REPOSITORY",
            anchor="promote-from",
        )
    if source.resource == target.resource:
        raise BadInput(
            f"`promote-from` and `repository` are the same repository: {target}",
            fix="set `promote-from` to the repository that has the packages",
            anchor="promote-from",
        )
    return source


def _read_pin(line: str) -> Pin:
    try:
        requirement = Requirement(line)
        (specifier,) = requirement.specifier
        if specifier.operator == "==" and not requirement.url and not requirement.marker:
            extras = frozenset(map(canonicalize_name, requirement.extras))
            return Pin(canonicalize_name(requirement.name), Version(specifier.version), extras)
    except (InvalidRequirement, RecursionError, ValueError):  # ValueError: no specifier, several, or ==1.*
        pass
    raise BadInput(
        f"{line[:100]!r} does not name one version of a package.",
        cause="a promotion copies exact versions",
        fix="write each version as NAME==VERSION, such as hello==1.2.3",
        anchor="promote-what",
    )
