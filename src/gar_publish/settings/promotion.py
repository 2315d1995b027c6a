"""What is to be promoted: exact versions, as `NAME==VERSION`, and the repository that has them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from gar_publish.errors import BadInput
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.inputs import Reader
from gar_publish.settings.repository import Repository


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


@dataclass(frozen=True)
class Promotion:
    """What is promoted, in place of what would be built.

    Attributes:
        source: The repository that has it, which is one of Artifact Registry's.
        pins: The versions.
        with_dependencies: Whether what they require goes along.
    """

    source: Repository
    pins: tuple[Pin, ...]
    with_dependencies: bool


def read_promotion(inputs: Mapping[str, str], target: Repository, endpoints: Endpoints) -> Promotion:
    """Check the inputs of a run that promotes.

    Args:
        inputs: The inputs by their names in `action.yml`.
        target: The repository to promote to.
        endpoints: What the source's URLs are made from.

    Raises:
        BadInput: One of them is wrong, or has no place in such a run.
    """
    given = Reader(inputs)
    with_dependencies = given.flag("with-dependencies")
    for name in ("dist", "formats", "expected-version", "changed-since"):
        if not given.is_default(name):
            raise BadInput(
                f"`{name}` and `promote-from` are both given; what is promoted is there already, whole.",
                fix=f"leave `{name}` out: `packages` names the versions, such as hello==1.2.3",
                anchor="promote-from",
            )
    if given.flag("provenance"):
        raise BadInput(
            "`provenance` and `promote-from` are both given; this run has not made what it copies.",
            fix="leave `provenance` out; `sbom` may stay",
            anchor="promote-from",
        )
    if given.text("if-exists") == "skip":
        raise BadInput(
            "`if-exists: skip` and `promote-from` are both given; other bytes in the target would pass for promoted.",
            fix="leave `if-exists` at skip-identical",
            anchor="promote-from",
        )
    source = _source(given.text("promote-from"), target, endpoints)
    return Promotion(source, read_pins(given.lines("packages")), with_dependencies)


def read_pins(lines: Iterable[str]) -> tuple[Pin, ...]:
    """Read `NAME==VERSION` or `NAME[EXTRA]==VERSION` (PEP 508), each once.

    Raises:
        BadInput: Something else is there.
    """
    return tuple(dict.fromkeys(map(_read, lines)))


def _source(text: str, target: Repository, endpoints: Endpoints) -> Repository:
    """The repository to promote from; a bare name is one beside the target."""
    beside = {"project": target.project or "", "location": target.location or ""} if "/" not in text else {}
    try:
        source = Repository.parse(text, **beside, endpoints=endpoints)
    except BadInput as failure:
        here = "`promote-from`"
        raise BadInput(
            failure.what.replace("`repository`", here),
            cause=failure.cause,
            fix=failure.fix.replace("`repository`", here),
            anchor=failure.anchor,
        ) from None
    if source.resource is None:
        raise BadInput(
            f"`promote-from` is {source}, which is not Artifact Registry, so no token is sent there.",
            fix="give it as LOCATION/PROJECT/REPOSITORY",
            anchor="promote-from",
        )
    if source == target:
        raise BadInput(
            f"{target} is promoted from and to at once.",
            fix="let `promote-from` name the repository that has the packages, and `repository` the one to get them",
            anchor="promote-from",
        )
    return source


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
