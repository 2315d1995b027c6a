"""Versions of gar-publish, and the check of the next one."""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class Refused(Exception):
    """The release is refused; the message says why."""


@dataclass(frozen=True, order=True)
class Version:
    """A version MAJOR.MINOR.PATCH of https://semver.org, without a pre-release or build part."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> "Version":
        """Parse a version.

        Raises:
            Refused: The text is not a version.
        """
        if not re.fullmatch(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", text):
            raise Refused(f"{text} is not MAJOR.MINOR.PATCH")
        return cls(*map(int, text.split(".")))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @property
    def tag(self) -> str:
        """Return the tag of this version, which never moves."""
        return f"v{self}"

    @property
    def major_tag(self) -> str:
        """Return the tag of the major version, which moves to each of its releases."""
        return f"v{self.major}"


def check(version: Version, declared: Version, tags: Iterable[str]) -> None:
    """Check that a version can be released next.

    Args:
        version: The version to release.
        declared: The version in pyproject.toml.
        tags: The existing tags.

    Raises:
        Refused: The project declares another version, or this or a later one of the same major version is released:
            the tag of the major version would move back.
    """
    if version != declared:
        raise Refused(f"pyproject.toml says {declared}, not {version}")
    exact = [tag.removeprefix("v") for tag in tags if re.fullmatch(r"v\d+\.\d+\.\d+", tag)]
    same = [each for each in map(Version.parse, exact) if each.major == version.major]
    if same and version <= max(same):
        raise Refused(f"{version} does not come after {max(same)}, which is released")


def declared(source: Path) -> Version:
    """Return the version that gar-publish and gar-emulator declare.

    Raises:
        Refused: They differ, or `gar-publish[emulator]` requires another version of gar-emulator.
    """
    product, emulator = (_project(source / folder / "pyproject.toml") for folder in (".", "emulator"))
    version = Version.parse(product["version"])
    if emulator["version"] != str(version):
        raise Refused(f"emulator/pyproject.toml says {emulator['version']}, and pyproject.toml says {version}")
    if (pin := f"gar-emulator=={version}") not in product["optional-dependencies"]["emulator"]:
        raise Refused(f"the extra `emulator` of pyproject.toml does not require {pin}")
    return version


def _project(file: Path) -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))["project"]
    return table
