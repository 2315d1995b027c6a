"""The comparison of `python -m bench.corpus` finds what differs, and its lists are what they should be."""

import json
import os
import re
import sys
import tempfile
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from bench.attacks.places import python_for_every_user
from bench.corpus import versions
from bench.corpus.__main__ import is_as_built, judged
from bench.corpus.projects import Project, Repository, commit, projects, sample
from bench.corpus.tools import CHECKOUTS, TOOLS, Checkout
from bench.corpus.ways import Host, Outcome
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
    good, word, reason = judged(PROJECT, Stable(), Outcome(packed), Outcome(wheel))  # type: ignore[arg-type] # in place of builds
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


def test_a_clone_that_git_cannot_make_is_a_sentence_in_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Cloning(Stable):
        def reference(self, project: Repository, *_: Any) -> Outcome:
            project.lay(tmp_path, tmp_path)
            return Outcome()

    (tmp_path / "odd").mkdir()
    (tmp_path / "odd/pyproject.toml").write_text("[")
    commit(tmp_path / "odd", "1.0", ahead=0)
    assert Repository(tmp_path / "odd").backend == "unknown"
    (tmp_path / "broken").mkdir()
    assert not is_as_built(Repository(tmp_path / "broken"), ["user"], Cloning(), Cloning())  # type: ignore[arg-type] # in place of builds
    row = capsys.readouterr().out
    assert row.startswith("| broken (clone) | setuptools |  |  |  | git cannot clone it: fatal: ")
    assert row.count("\n") == 1


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root can build as other users")
def test_version_tools_give_what_they_give_uv() -> None:
    """The results of all tools are in docs/monorepo.md."""
    tools = [each for each in TOOLS if each.name in {"setuptools-scm 10", "pdm-backend"}]
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)
        host = Host(folder, folder, python_for_every_user(folder))
        rows = list(versions.rows(Checkout("a subfolder"), tools, {"user": host, "root": host}, host, ["wheel"]))
    assert [row["ways"] for row in rows] == [{"user": versions.SAME, "root": versions.SAME}] * 2
    for row in rows:
        assert re.fullmatch(r"1\.2\.4\.dev1\+g\w+, 6 files", row["uv"])


def test_another_version_or_fewer_files_are_not_what_uv_gives(wheel: Path, tmp_path: Path) -> None:
    less = tmp_path / wheel.name
    with zipfile.ZipFile(wheel) as read, zipfile.ZipFile(less, "w") as written:
        for name in read.namelist()[1:]:
            written.writestr(read.getinfo(name), read.read(name))
    good, failed = Outcome(wheel), Outcome(said=FAILED)
    assert versions.judged(good, good) == versions.judged(failed, failed) == ""
    for other in (Outcome(less), Outcome(make_wheel(tmp_path, version="0.0.0")), failed, Outcome(said="Error: no")):
        assert versions.judged(other, good)
        assert versions.judged(good, other)
    assert versions.judged(Outcome(said="Error: no"), failed)


def test_the_results_have_every_tool_in_every_checkout() -> None:
    found = json.loads(versions.RESULTS.read_text(encoding="utf-8"))
    listed = [(each["checkout"], each["tool"]) for each in found]
    assert listed == list(product(CHECKOUTS, (each.name for each in TOOLS)))
    assert all({"user", "root"} <= each["ways"].keys() for each in found)
