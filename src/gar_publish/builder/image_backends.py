"""Environments of links to the backends in the image, made in milliseconds without uv and without a network.

The image has the common build backends, unpacked and compiled (`image/fill.py`). An environment has exactly what was
requested and what that requires, as if it had been installed.
"""

import csv
import os
import re
import sys
import sysconfig
from collections.abc import Collection, Mapping, Sequence
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gar_publish.builder import environment

BACKENDS = Path(sys.prefix, "share", "gar-publish", "backends")
"""Exists only in the image."""
PLACES = (BACKENDS, Path(sysconfig.get_path("purelib")))
"""The folders of packages in the image. The second is gar-publish's own, and lacks parts that no backend needs."""

_SOURCES = re.compile(
    "UV_(DEFAULT_INDEX|INDEX|INDEX_URL|EXTRA_INDEX_URL|INDEX_STRATEGY|FIND_LINKS|CONFIG_FILE|EXCLUDE_NEWER|CONSTRAINT"
    "|PRERELEASE|RESOLUTION)"
)


def asks_pypi_alone(variables: Mapping[str, str]) -> bool:
    """Return whether uv, with these variables, would install the newest versions from PyPI."""
    settings = [variables.get("XDG_CONFIG_HOME") or Path(variables.get("HOME", "/"), ".config"), "/etc"]
    settings += (variables.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")
    return not (
        any(value and _SOURCES.fullmatch(name.upper()) for name, value in variables.items())
        or any(os.path.exists(Path(folder, "uv", "uv.toml")) for folder in settings)  # noqa: PTH110 - it may not be looked at
    )


def choose(requirements: Collection[Requirement], places: Sequence[Path] = PLACES) -> Collection[Distribution] | None:
    """Return the distributions in these places that meet the requirements, and what they require, if all are there."""
    if not places[0].is_dir():
        return None
    path = [str(place) for place in places]
    chosen: dict[str, Distribution] = {}
    asked: set[tuple[str, str]] = set()
    wanted = [(each, path[:1]) for each in requirements if each.marker is None or each.marker.evaluate()]
    while wanted:
        requirement, where = wanted.pop()
        name = canonicalize_name(requirement.name)
        found = chosen.get(name) or next(iter(Distribution.discover(name=name, path=where)), None)
        if found is None or requirement.url or not requirement.specifier.contains(found.version):
            return None
        chosen[name] = found
        for extra in {"", *requirement.extras}:
            if (name, extra) not in asked:
                asked.add((name, extra))
                wanted += [(each, path) for each in _required(found, extra)]
    return chosen.values()


def link(distributions: Collection[Distribution], folder: Path) -> None:
    """Make a virtual environment with distributions, of which no two have a top-level name in common."""
    environment.make(folder)
    base = {"base": str(folder), "platbase": str(folder)}
    site = Path(sysconfig.get_path("purelib", "venv", base))
    for each in distributions:
        for name in _top_names(each):
            (site / name).symlink_to(str(each.locate_file(name)))
        for entry in each.entry_points.select(group="console_scripts"):
            _write_script(Path(sysconfig.get_path("scripts", "venv", base)), entry)


def _required(distribution: Distribution, extra: str) -> list[Requirement]:
    each = map(Requirement, distribution.requires or ())
    return [one for one in each if one.marker is None or one.marker.evaluate({"extra": extra})]


def _top_names(distribution: Distribution) -> set[str]:
    """Return a distribution's top-level names. `Distribution.files` omits sources that exist only as byte code."""
    record = csv.reader((distribution.read_text("RECORD") or "").splitlines())
    return {row[0].partition("/")[0] for row in record} - {"..", "bin", "__pycache__"}


def _write_script(folder: Path, entry: EntryPoint) -> None:
    script = folder / entry.name
    script.write_text(
        f"#!{folder / 'python'}\nimport sys\nfrom {entry.module} import {entry.attr.partition('.')[0]}\n"
        f"sys.exit({entry.attr}())\n"
    )
    script.chmod(0o755)
