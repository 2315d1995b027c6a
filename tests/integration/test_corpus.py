"""The comparison of `python -m bench.corpus` finds what differs, and its lists are what they should be."""

import zipfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bench.corpus.__main__ import judged
from bench.corpus.projects import Project, projects, sample
from bench.corpus.ways import Outcome
from tests.wheels import make_wheel

PROJECT = next(projects())
FAILED = (
    "Traceback:\n  File /one/setup.py\nModuleNotFoundError: No module named 'numpy'\nERROR Backend subprocess exited"
)


@dataclass
class Stable:
    """A place where `build` makes the same wheel again, or another one."""

    again: Outcome = field(default_factory=Outcome)

    def reference(self, *_: Any) -> Outcome:
        return self.again


def words(ours: Outcome, theirs: Outcome, again: Outcome | None = None) -> tuple[bool, str]:
    return judged(PROJECT, Stable(again or theirs), ours, theirs)[:2]  # type: ignore[arg-type] # a stand-in


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return make_wheel(tmp_path / "built", content="a = 1")


def test_a_wheel_is_the_same_byte_for_byte(wheel: Path) -> None:
    assert words(Outcome(wheel), Outcome(wheel)) == (True, "same")


def test_members_that_are_packed_in_another_way_have_the_same_contents(wheel: Path, tmp_path: Path) -> None:
    packed = tmp_path / wheel.name
    with zipfile.ZipFile(wheel) as read, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as written:
        for name in read.namelist():
            written.writestr(name, read.read(name))
    good, word, reason = judged(PROJECT, Stable(), Outcome(packed), Outcome(wheel))  # type: ignore[arg-type] # as above
    assert (good, word) == (True, "contents")
    assert "times" in reason


def test_a_missing_module_differs_even_where_build_is_not_stable(wheel: Path, tmp_path: Path) -> None:
    other = make_wheel(tmp_path / "again", content="a = 2")
    less = tmp_path / wheel.name
    with zipfile.ZipFile(wheel) as read, zipfile.ZipFile(less, "w") as written:
        for name in read.namelist():
            if name != "sample.py":
                written.writestr(read.getinfo(name), read.read(name))
    assert words(Outcome(less), Outcome(wheel)) == (False, "DIFFERS")
    assert words(Outcome(less), Outcome(wheel), Outcome(other)) == (False, "DIFFERS")


def test_what_two_runs_of_build_make_differently_is_unstable(wheel: Path, tmp_path: Path) -> None:
    ours, again = (Outcome(make_wheel(tmp_path / name, content=name)) for name in ("ours", "again"))
    assert words(ours, Outcome(wheel), again) == (True, "unstable")
    assert words(ours, Outcome(wheel)) == (False, "DIFFERS")


def test_another_version_differs(wheel: Path, tmp_path: Path) -> None:
    assert words(Outcome(make_wheel(tmp_path, version="0.0.0")), Outcome(wheel)) == (False, "DIFFERS")


def test_the_same_error_is_a_failure_on_both_sides(wheel: Path) -> None:
    ours = Outcome(said="Error: the build failed.\n  ModuleNotFoundError: No module named 'numpy'")
    assert words(ours, Outcome(said=FAILED)) == (True, "fails")
    assert words(Outcome(said="Error: there is no space left"), Outcome(said=FAILED)) == (False, "DIFFERS")
    assert words(ours, Outcome(wheel)) == (False, "DIFFERS")
    assert words(Outcome(wheel), Outcome(said=FAILED)) == (False, "DIFFERS")


def test_there_are_150_sdists_and_30_checkouts_of_19_backends() -> None:
    of = list(projects())
    assert Counter(each.kind for each in of) == {"sdist": 150, "checkout": 15, "subfolder": 15}
    assert len({each.backend for each in of}) == 19
    assert len({each.label for each in of}) == len(of)


def test_a_sample_has_as_many_backends_as_possible() -> None:
    of: list[Project] = list(projects())
    assert len({each.backend for each in sample(of, 12)}) == 12
    assert len({each.backend for each in sample(of, 30)}) == 19
