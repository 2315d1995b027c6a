"""Choose the Pythons of a rehearsal among those that uv finds."""

import json
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from gar_publish.errors import BadInput

_LOWEST = Version("3.8")  # for the probe and uv
OWN = Version(".".join(map(str, sys.version_info[:3])))


@dataclass(frozen=True)
class Python:
    """An installed Python.

    Attributes:
        version: Its version.
        path: Its program.
    """

    version: Version
    path: Path


def installed(listing: str, *, for_others: bool) -> list[Python]:
    """Return the CPythons that can be used, from the lowest to the highest, each once. This Python is among them.

    Args:
        listing: What `uv python list --output-format json` wrote.
        for_others: Whether other users must be able to run it.
    """
    try:
        pythons = [
            Python(Version(each["version"]), Path(each["path"]))
            for each in json.loads(listing)
            if (each["implementation"], each["variant"]) == ("cpython", "default") and each["path"]
        ]
    except (ValueError, TypeError, KeyError):
        pythons = []
    usable = [
        each
        for each in pythons
        if each.version >= _LOWEST
        and not each.version.is_prerelease
        and not (for_others and not _others_can_run(each.path))
    ]
    by_version = {each.version: each for each in (*usable, Python(OWN, Path(sys.executable)))}
    return [by_version[key] for key in sorted(by_version)]


def choose(pythons: Sequence[Python], asked: Sequence[str], requires_python: str | None) -> list[Python]:
    """Return the Pythons to rehearse a package with.

    These are those that were asked for and that the package allows; if none was asked for, the lowest and the highest
    minor version that it allows, each in its newest installed version. For a package that does not say what it allows,
    it is the newest of this minor version alone.

    Args:
        pythons: The installed Pythons, from the lowest to the highest.
        asked: Versions such as `3.12` or `3.12.1`.
        requires_python: What the package allows.

    Raises:
        BadInput: One that was asked for is not installed.
    """
    newest = {each.version.release[:2]: each for each in pythons}
    chosen = [_find(pythons, each) for each in asked] or list(newest.values())
    allowed = [each for each in chosen if SpecifierSet(requires_python or "").contains(each.version)]
    if asked or not allowed:
        return allowed
    if not requires_python:
        return [each for each in allowed if each.version.release[:2] == OWN.release[:2]]
    return list(dict.fromkeys([allowed[0], allowed[-1]]))


def _find(pythons: Sequence[Python], version: str) -> Python:
    for each in reversed(pythons):
        if f"{each.version}.".startswith(f"{version}."):
            return each
    raise BadInput(
        f"`rehearse-python` names {version}, but uv finds no Python {version}.",
        cause="uv finds " + ", ".join(str(each.version) for each in pythons),
        fix=f"install it where every user can run it (`uv python install {version}`), or remove it; the action has "
        "only the Python of its image, so use the command for others",
        anchor="rehearse-python",
    )


def _others_can_run(path: Path) -> bool:
    real = path.resolve()
    return all(each.stat().st_mode & stat.S_IXOTH for one in (path, real) for each in (one, *one.parents))
