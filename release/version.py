"""Versions of gar-publish, and whether the next one may come."""

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class Refused(Exception):
    """There can be no such release; says why."""


@dataclass(frozen=True, order=True)
class Version:
    """MAJOR.MINOR.PATCH, as in https://semver.org, and nothing after it."""

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> "Version":
        """Read one.

        Raises:
            Refused: It is none.
        """
        if not re.fullmatch(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", text):
            raise Refused(f"{text} is not MAJOR.MINOR.PATCH")
        return cls(*map(int, text.split(".")))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @property
    def tag(self) -> str:
        """The tag that never moves."""
        return f"v{self}"

    @property
    def major_tag(self) -> str:
        """The tag that moves to each release of the major version."""
        return f"v{self.major}"


def check(version: Version, declared: Version, tags: Iterable[str]) -> None:
    """Refuse a version that does not come next.

    Args:
        version: What is to be released.
        declared: What the project calls itself.
        tags: Those that there are.

    Raises:
        Refused: The project says another one, or one of the same major version that is not older has been released:
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
