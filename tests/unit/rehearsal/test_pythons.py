"""Which Pythons a package is rehearsed with."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from gar_publish.errors import BadInput
from gar_publish.rehearsal.pythons import OWN, Python, choose, installed

PYTHONS = [Python(Version(each), Path(each)) for each in ("3.9.2", "3.9.18", "3.12.1", "3.13.0")]


def row(version: str, path: Path, **more: Any) -> dict[str, Any]:
    return {"implementation": "cpython", "variant": "default", "version": version, "path": str(path), **more}


def test_what_uv_finds(tmp_path: Path) -> None:
    usable, private = tmp_path / "usable", tmp_path / "private"
    for each in (usable, private):
        each.touch(0o700)
    rows = [
        row("3.99.1", usable),
        row("3.99.2", usable),
        row("3.98.1", usable, implementation="pypy"),
        row("3.97.1", usable, variant="freethreaded"),
        row("3.96.0a1", usable),
    ]
    found = installed(json.dumps(rows), for_others=False)
    assert [str(each.version) for each in found] == [str(OWN), "3.99.1", "3.99.2"]
    assert [each.version for each in installed(json.dumps([row("3.99.1", private)]), for_others=True)] == [OWN]


@pytest.mark.parametrize("listing", ["", "[]", "{}", "[1]", '[{"implementation": "cpython"}]'])
def test_without_another_python_it_is_this_one(listing: str) -> None:
    assert installed(listing, for_others=False) == [Python(OWN, Path(sys.executable))]


@pytest.mark.parametrize(
    ("asked", "requires", "chosen"),
    [
        ([], ">=3.8", ["3.9.18", "3.13.0"]),
        ([], ">=3.10,<3.13", ["3.12.1"]),
        ([], ">=3.14", []),
        (["3.12"], ">=3.8", ["3.12.1"]),
        (["3.13.0", "3.9"], ">=3.10", ["3.13.0"]),
        (["3.9"], None, ["3.9.18"]),
        (["3.9.2"], None, ["3.9.2"]),
    ],
)
def test_the_lowest_and_the_highest_or_those_that_were_asked_for(
    asked: list[str], requires: str | None, chosen: list[str]
) -> None:
    assert [str(each.version) for each in choose(PYTHONS, asked, requires)] == chosen


def test_a_package_that_does_not_say_gets_this_python() -> None:
    own = Python(OWN, Path(sys.executable))
    assert choose([*PYTHONS[:1], own], [], None) == [own]


@pytest.mark.parametrize("version", ["3.1", "3.12.2"])
def test_one_that_is_not_installed(version: str) -> None:
    with pytest.raises(BadInput, match=rf"names {version}, but uv finds no Python") as caught:
        choose(PYTHONS, [version], None)
    assert caught.value.cause == "uv finds 3.9.2, 3.9.18, 3.12.1, 3.13.0"
