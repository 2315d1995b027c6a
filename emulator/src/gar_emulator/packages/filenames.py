"""The names of wheels and sdists (PEP 427, PEP 625)."""

import re

from packaging.utils import NormalizedName, canonicalize_name, parse_sdist_filename, parse_wheel_filename
from packaging.version import Version

_FILENAME = re.compile(r"[A-Za-z0-9._+!-]+")


def parse(filename: str) -> tuple[NormalizedName, Version]:
    """Return the normalised name (PEP 503) and the version of a distribution.

    Raises:
        ValueError: It is not the name of a wheel or an sdist.
    """
    if not _FILENAME.fullmatch(filename):
        raise ValueError(f"{filename!a} has characters that are not allowed")
    if filename.endswith(".whl"):
        name, version, _, _ = parse_wheel_filename(filename)
    else:
        name, version = parse_sdist_filename(filename)
    return canonicalize_name(name, validate=True), version
