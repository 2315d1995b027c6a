"""Parse the names of wheels and sdists (PEP 427, PEP 625)."""

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
    """Parse the name of a wheel or an sdist.

    Returns:
        The normalised name (PEP 503), the version, and a wheel's platform tags (PEP 425).

    Raises:
        BuildFailure: It is not the name of a wheel or an sdist.
    """
    if not _FILENAME.fullmatch(filename):
        raise BuildFailure(
            f"{filename!r} is not the name of a wheel or an sdist: it has characters that are not allowed.",
            fix="build the file again; its name must be NAME-VERSION-PYTHON-ABI-PLATFORM.whl or NAME-VERSION.tar.gz",
            anchor="bad-metadata",
        )
    try:
        if filename.endswith(".whl"):
            name, version, _, tags = parse_wheel_filename(filename)
            return name, version, frozenset(tag.platform for tag in tags)
        name, version = parse_sdist_filename(filename)
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion) as error:
        raise BuildFailure(
            f"{filename} is not the name of a wheel or an sdist.",
            cause="the file was renamed after the build",
            fix="build the file again; its name must be NAME-VERSION-PYTHON-ABI-PLATFORM.whl or NAME-VERSION.tar.gz",
            anchor="bad-metadata",
            detail=str(error),
        ) from error
    return name, version, frozenset()


def is_distribution(filename: str) -> bool:
    """Return whether a file seems to be a wheel or an sdist by its name."""
    with contextlib.suppress(InvalidSdistFilename, InvalidVersion):  # a .zip may be an sdist, or any other file
        return filename.endswith((".whl", ".tar.gz")) or bool(parse_sdist_filename(filename))
    return False


def universal(listed: Mapping[str, Listed], name: str, version: str) -> dict[Literal["wheel", "sdist"], Listed]:
    """Return the files of a version in an index that are for every platform, so that a build makes no other ones.

    Args:
        listed: The files that the index lists, by name.
        name: The normalised name.
        version: The version.
    """
    found: dict[Literal["wheel", "sdist"], Listed] = {}
    for filename, each in by_version(listed, name).get(Version(version), {}).items():
        if _UNIVERSAL.search(filename):
            found["wheel"] = each
        elif not filename.endswith(".whl"):
            found["sdist"] = each
    return found


def by_version(listed: Mapping[str, Listed], name: str) -> dict[Version, dict[str, Listed]]:
    """Return the wheels and sdists of a project in an index, by version and name.

    Args:
        listed: The files that the index lists, by name; other files are ignored.
        name: The normalised name.
    """
    found: dict[Version, dict[str, Listed]] = {}
    for filename, each in listed.items():
        with contextlib.suppress(BuildFailure):
            theirs, version, _ = parse(filename)
            if theirs == name:
                found.setdefault(version, {})[filename] = each
    return found
