"""The parts of `make bench`, with very little work: no figure is checked, only that there is one."""

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench import document, mutants, previews, rows
from bench.link import ONE_WAY
from bench.measure import Bench, Case, Command, Summary
from bench.rows import Measured, Size
from bench.stage import Stage
from bench.tools import AGAIN, LOOP, OURSELVES, UV_ALL, Tools

WORKS = [
    "one small package, build + credentials + upload + read-back",
    "the same in the image",
    "the same as a plain command",
    "50 small hatchling packages",
    "the same 50 packages",
    "the same 50 packages in the image",
    "the same 50 packages as root, without the image",
    "50 packages again with nothing new",
    "cost per package from 10 to 200 packages",
    "peak memory, 200 packages",
    "image: docker run IMAGE --version",
    "image size above its base",
]
_GET = """
import os, urllib.request
urllib.request.urlopen(os.environ["GAR_EMULATOR_HOST"] + "/emulator/faults").read()
"""


def test_a_distant_server_is_slow(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        environment = {**stage.environment, **stage.job}
        get = [Command([sys.executable, "-c", _GET], tmp_path, environment)]
        nothing = [Command([sys.executable, "-c", "raise SystemExit(1)"], tmp_path, environment)]
        bench = Bench(tmp_path / "runs", lambda _: None)
        missing = [Command([str(tmp_path / "missing")], tmp_path, environment)]
        cases = [
            Case("get", lambda *_: {"get": get}),
            Case("nothing", lambda *_: {"nothing": nothing}),
            Case("missing", lambda *_: {"missing": missing}),
        ]
        found = bench.run(cases, 2)
    assert len(found["get"].seconds) == 2
    assert min(found["get"].seconds) > 3 * 2 * ONE_WAY  # connect, TLS, request
    assert found["get"].memory > rows.MB or not Path("/proc/self/smaps_rollup").exists()
    assert bench.failed == ["nothing", "missing"]
    assert found.keys() == {"get"}


def test_gar_publish_publishes_a_workspace(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        (case,) = (case for case in Tools(stage).workspace(2) if case.name == OURSELVES)
        bench = Bench(tmp_path / "runs", lambda _: None)
        found = bench.run([case], 0)
        assert bench.failed == []
        assert len(stage.emulator.files()) == 2
    assert found.keys() == {OURSELVES, AGAIN}


def test_a_row_shows_whether_its_target_is_met() -> None:
    def took(seconds: float, memory: int = 0) -> Summary:
        return Summary([seconds], memory)

    of = Measured(
        workspace={OURSELVES: took(2), AGAIN: took(0.5), UV_ALL: took(20), LOOP: took(100)},
        scale={"1": took(1, 50 * rows.MB), "10": took(2), "200": took(20, 150 * rows.MB)},
        size=Size(70 * rows.MB, 29 * rows.MB),
        missing="no Docker engine answers",
    )
    made = list(rows.rows(of))
    assert [row.ratio for row in made] == [None, None, None, 0.1, 0.02, None, None, 0.25, 0.5, 100, None, 70]
    assert [row.met for row in made] == [False] * 3 + [True] * 2 + [False] * 2 + [True] * 3 + [False] * 2
    assert "not measured" in rows.as_markdown(made)
    assert "no Docker engine answers" in rows.as_markdown(made)
    of.missing, of.failed, of.environment_made = "", [rows.VERSION], True
    assert list(rows.rows(of))[10].note == f"{rows.VERSION} failed"
    assert not list(rows.rows(of))[7].met


def test_the_rows_of_the_targets() -> None:
    for row, work in zip(rows.rows(Measured()), WORKS, strict=True):
        assert row.work.startswith(work)
        assert not row.met


def test_results_document_and_chart_come_from_one_run() -> None:
    results = json.loads(rows.RESULTS.read_text(encoding="utf-8"))
    text = document.DOCUMENT.read_text(encoding="utf-8")
    table = re.findall(r"^\| (.+?) \| (.+?) \| ([^|]+) \| ([^|]+) \| (yes|\*\*no\*\*) \|", text, re.MULTILINE)
    listed = [
        {
            "work": work,
            "peer": peer,
            "ratio": None if measured == "not measured" else float(measured.removesuffix(" MB")),
            "target": float(target.removesuffix(" MB")),
            "met": met == "yes",
        }
        for work, peer, measured, target, met in table
    ]
    assert listed == results
    assert [row.work for row in rows.rows(Measured())] == [row["work"] for row in results]
    ET.fromstring(document.CHART.read_text(encoding="utf-8"))
    for seconds in re.findall(r">(\d+\.\d\d)</text>", document.CHART.read_text(encoding="utf-8")):
        assert f"| {seconds} |" in text


def test_writes_only_between_the_marks() -> None:
    once = document.filled("a\n<!-- measured: by -->\n<!-- /measured -->\nb\n", "x")
    assert document.filled(once, "y") == once.replace("\nx\n", "\ny\n")
    assert once.startswith("a\n")
    assert once.endswith("\nb\n")


@pytest.mark.thorough
def test_a_mutant_is_killed_if_a_test_notices_it(tmp_path: Path) -> None:
    room = tmp_path / "src" / "gar_publish" / "tiny"
    tests = tmp_path / "tests" / "unit" / "tiny"
    room.mkdir(parents=True)
    tests.mkdir(parents=True)
    (room.parent / "__init__.py").touch()
    (room / "__init__.py").touch()
    source = "def is_more(a: int, b: int) -> bool:\n    return a > b\n"
    (room / "sums.py").write_text(source)
    (tests / "test_sums.py").write_text(
        "from gar_publish.tiny.sums import is_more\n\ndef test_more() -> None:\n    assert is_more(2, 1)\n"
    )
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    command = [sys.executable, "-m", "bench.mutants", "tiny", "--checkout", str(tmp_path)]
    done = subprocess.run(command, cwd=mutants.ROOT, capture_output=True, text=True, check=True)
    assert (room / "sums.py").read_text() == source
    where = "src/gar_publish/tiny/sums.py:2"
    assert (
        done.stdout
        == f"""\
{where}
  - return a > b
  + return None
  killed
{where}
  - a > b
  + a >= b
  SURVIVED
1 of 2 killed (50%)
"""
    )


def test_a_seed_draws_the_same_mutants() -> None:
    def drawn(seed: int) -> list[str]:
        return [str(each) for each in mutants.sample(mutants.ROOT, "projects", 5, seed)]

    assert len(drawn(1)) == 5
    assert drawn(1) == drawn(1) != drawn(2)


@pytest.mark.parametrize(
    ("source", "changed"),
    [
        ("x = a == b", ["x = a != b"]),
        ("x = a and b", ["x = a or b"]),
        ("x = not a", ["x = a"]),
        ("x = a + b", ["x = a - b"]),
        ("x = 1", ["x = 2", "x = 0"]),
        ("x = True", ["x = False"]),
        ("x = f'{a}'", ["x = f'XX{a}XX'"]),
        ("x = b'a'", ["x = b'XXaXX'"]),
        ("def f():\n    return a", ["def f():\n    return None"]),
        ("if a:\n    raise", ["if not a:\n    raise", "if a:\n    pass"]),
        ("while a:\n    break", ["while not a:\n    break", "while a:\n    continue"]),
        ("x = f(a, b=c, **d)", ["x = f(a, **d)", "x = f(a, b=c)"]),
        ("x: 'X' = cast('Y', a)\n'A docstring.'\n__all__ = ['x']", []),
        ("if TYPE_CHECKING:\n    x = 1", []),
        ("@dataclass(frozen=True)\nclass X:\n    pass", []),
    ],
)
def test_each_kind_of_mutant(source: str, changed: list[str]) -> None:
    assert [each.source() for each in mutants.mutants(Path("a.py"), source)] == changed


def test_a_preview_is_compared_with_publishing(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        (ratio,) = previews.measure(stage, 2, 1)
    assert ratio > 0
