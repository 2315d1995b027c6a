"""What the name of a wheel or an sdist says (PEP 427, PEP 625)."""

import contextlib
import re
from collections.abc import Mapping
from typing import Literal, TypeVar

from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from gar_publish.errors import BuildFailure

_FILENAME = re.compile(r"[A-Za-z0-9._+!-]+")
_UNIVERSAL = re.compile(r"-py[0-9.py]+-none-any\.whl")

Listed = TypeVar("Listed")


def parse(filename: str) -> tuple[str, Version, frozenset[str]]:
    """Take a name apart.

    Returns:
        The normalised name (PEP 503), the version, and a wheel's platform tags (PEP 425).

    Raises:
        BuildFailure: It is no name of a wheel or an sdist.
    """
    if not _FILENAME.fullmatch(filename):
        raise BuildFailure(
            f"{filename!r} is no name of a wheel or an sdist: it has characters that none has.",
            fix="Build it again: NAME-VERSION-PYTHON-ABI-PLATFORM.whl or NAME-VERSION.tar.gz.",
            anchor="bad-metadata",
        )
    try:
        if filename.endswith(".whl"):
            name, version, _, tags = parse_wheel_filename(filename)
            return name, version, frozenset(tag.platform for tag in tags)
        name, version = parse_sdist_filename(filename)
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion) as error:
        raise BuildFailure(
            f"{filename} is no name of a wheel or an sdist.",
            cause="The file was renamed after it was built.",
            fix="Build it again: NAME-VERSION-PYTHON-ABI-PLATFORM.whl or NAME-VERSION.tar.gz.",
            anchor="bad-metadata",
            detail=str(error),
        ) from error
    return name, version, frozenset()


def is_distribution(filename: str) -> bool:
    """Whether a file beside others is meant to be a wheel or an sdist."""
    if filename.endswith(".zip"):  # an sdist may be one, and so may anything else
        try:
            parse_sdist_filename(filename)
        except (InvalidSdistFilename, InvalidVersion):
            return False
        return True
    return filename.endswith((".whl", ".tar.gz"))


def universal(listed: Mapping[str, Listed], name: str, version: str) -> dict[Literal["wheel", "sdist"], Listed]:
    """The files of one version in an index that are for every platform, so that no build could bring another one.

    Args:
        listed: What the index lists, by file name.
        name: The normalised name.
        version: The version.
    """
    found: dict[Literal["wheel", "sdist"], Listed] = {}
    for filename, each in listed.items():
        with contextlib.suppress(BuildFailure):
            if parse(filename)[:2] == (name, Version(version)):
                if _UNIVERSAL.search(filename):
                    found["wheel"] = each
                elif not filename.endswith(".whl"):
                    found["sdist"] = each
    return found


def by_version(listed: Mapping[str, Listed], name: str) -> dict[Version, dict[str, Listed]]:
    """The wheels and sdists of a project in an index, by version and file name.

    Args:
        listed: What the index lists, by file name; what is neither is passed over.
        name: The normalised name.
    """
    found: dict[Version, dict[str, Listed]] = {}
    for filename, each in listed.items():
        with contextlib.suppress(BuildFailure):
            theirs, version, _ = parse(filename)
            if theirs == name:
                found.setdefault(version, {})[filename] = each
    return found
