"""The parts of `make bench`, with very little work: no figure is checked, only that there is one."""

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench import document, many, measured, mutants, previews, projects, real, rows, sizes, small
from bench.containers import PASS, VERSION, Containers
from bench.link import FAR, NEAR
from bench.measure import Bench, Case, Command, Summary
from bench.measured import Measured, Size
from bench.real import Real
from bench.rows import MB, Row
from bench.stage import Stage
from bench.tools import AGAIN, FLIT, LOOP, OURSELVES, TWINE, UV, UV_ALL, UV_EACH, Tools
from bench.users import User

_GET = """
import os, urllib.request
urllib.request.urlopen(os.environ["GAR_EMULATOR_HOST"] + "/emulator/faults").read()
"""
SMALL = "one small {} package, {}".format


def took(seconds: float, memory: float = 0, main: float = 0) -> Summary:
    return Summary([seconds], int(memory * MB), int(main * MB))


def row(of: Measured, work: str) -> Row:
    (found,) = (each for each in rows.rows(of) if each.work == work)
    return found


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
    assert min(found["get"].seconds) > 3 * FAR  # connect, TLS, request
    assert found["get"].memory >= found["get"].main // 2 > MB or not Path("/proc/self/smaps_rollup").exists()
    assert found["get"].processor > 0
    assert bench.failed == ["nothing", "missing"]
    assert found.keys() == {"get"}


def test_a_server_in_the_same_region_is_less_slow(tmp_path: Path) -> None:
    with Stage(tmp_path, NEAR) as stage:
        get = [Command([sys.executable, "-c", _GET], tmp_path, {**stage.environment, **stage.job})]
        found = Bench(tmp_path / "runs", lambda _: None).run([Case("get", lambda *_: {"get": get})], 1)
    assert found["get"].median > 3 * NEAR


def test_gar_publish_publishes_a_workspace(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        (case,) = (case for case in many.workspace(Tools(stage), 2) if case.name == OURSELVES)
        bench = Bench(tmp_path / "runs", lambda _: None)
        found = bench.run([case], 0)
        assert bench.failed == []
        assert len(stage.emulator.files()) == 2
    assert found.keys() == {OURSELVES, AGAIN}


def test_gar_publish_publishes_a_package_with_many_dependencies(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        cases = sizes.as_commands(Tools(stage), tmp_path / "sizes")
        (case,) = (case for case in cases if case.name == f"200 dependencies: {OURSELVES}")
        bench = Bench(tmp_path / "runs", lambda _: None)
        bench.run([case], 1)
        assert bench.failed == []
        assert [each.package for each in stage.emulator.files()] == [sizes.PACKAGE] * 2


def test_each_backend_meets_its_peers(tmp_path: Path) -> None:
    tools = Tools(Stage(tmp_path))
    far, near = ({case.name for case in cases(tools)} for cases in (small.far, small.near))
    inside = {case.name for case in small.in_containers(Containers(tools))}
    for backend in projects.BACKENDS:
        assert {f"{backend}: {name}" for name in (OURSELVES, UV)} <= far & near & inside
    assert f"flit-core: {FLIT}" in far & near & inside
    assert f"setuptools: {TWINE}" in far - near
    assert f"setuptools: {FLIT}" not in far


def test_the_packages_of_a_real_repository(tmp_path: Path) -> None:
    haystack, workspace = tmp_path / real.HAYSTACK, tmp_path / "any-name"
    for name in ("chroma", "llama_stack"):
        projects.write(haystack / "integrations" / name, name, "1")
    projects.write_workspace(workspace, 2, "1")
    containers = Containers(Tools(Stage(tmp_path)))
    assert (Real(containers, haystack).labels, Real(containers, haystack).uv) == (["integrations/chroma"], UV_EACH)
    assert (len(Real(containers, workspace).labels), Real(containers, workspace).uv) == (2, UV_ALL)
    assert [case.name for case in Real(containers, workspace).cases(real.IN_IMAGE)] == [
        f"in the image: {OURSELVES}",
        f"in the image: {UV_ALL}",
    ]


def test_a_user_has_programs_and_variables_of_its_own(tmp_path: Path) -> None:
    command = Command(["/usr/bin/uv", "build"], tmp_path, {"HOME": "/root", "LANG": "C"})
    other = User(tmp_path, 65534, {"HOME": "/home"}).command(command)
    assert other == Command([f"{tmp_path}/uv", "build"], tmp_path, {"HOME": "/home", "LANG": "C"}, 65534)


def test_in_a_container_only_the_time_is_measured(tmp_path: Path) -> None:
    sleep = Command([sys.executable, "-c", "import time; time.sleep(0.1)"], tmp_path, {}, contained=True)
    found = Bench(tmp_path / "runs", lambda _: None).run([Case("sleep", lambda *_: {"sleep": [sleep]})], 1)["sleep"]
    assert found.median > 0.1
    assert (found.memory, found.main, found.processors) == (0, 0, [])


def test_the_fastest_peer_counts() -> None:
    work = SMALL("flit-core", "80 ms")
    table = {f"flit-core: {name}": took(seconds) for name, seconds in ((OURSELVES, 0.9), (UV, 1.2), (FLIT, 1.0))}
    of = Measured({measured.FAR: {**table, f"hatchling: {UV}": took(0.1)}})
    assert row(of, work) == Row(work, rows.FASTEST, 0.9, 1.0, note="flit publish, 1.00 s")
    assert row(of, work).met
    assert not row(of, SMALL("flit-core", "10 ms")).met
    of.failed[measured.FAR] = [f"flit-core: {TWINE}"]  # it could have been faster
    assert row(of, work).note == "flit publish, 1.00 s, flit-core: build + twine failed"
    assert not row(of, work).met


def test_a_row_without_gar_publish_or_a_peer_is_not_measured() -> None:
    work = SMALL("hatchling", "80 ms")
    of = Measured({measured.FAR: {f"hatchling: {UV}": took(1)}}, {measured.FAR: [f"hatchling: {OURSELVES}"]})
    assert row(of, work) == Row(work, rows.FASTEST, None, 1.0, note="hatchling: gar-publish failed")
    of = Measured({measured.FAR: {f"hatchling: {OURSELVES}": took(1)}})
    assert row(of, work) == Row(work, rows.FASTEST, None, 1.0)
    work = SMALL("hatchling", "80 ms, in the image")
    of = Measured(missing={measured.SMALL_IN_CONTAINERS: "no Docker engine answers"})
    assert row(of, work).note == "no Docker engine answers"
    assert not row(of, work).met
    assert f"| {work} | {rows.FASTEST} | not measured | 1 | **no** | no Docker" in rows.as_markdown([row(of, work)])


def test_the_memory_of_each_backend_counts() -> None:
    work = "peak memory, one small package, the worst of the backends in Python"
    table: dict[str, Summary] = {}
    for number, backend in enumerate(projects.BACKENDS):
        table |= {f"{backend}: {OURSELVES}": took(1, 61 + number), f"{backend}: {UV}": took(1, 50)}
    found = row(Measured({measured.FAR: table}), work)
    assert (found.ratio, found.met) == (1.3, True)
    assert not row(
        Measured({measured.FAR: table}), work.replace("the worst of the backends in", "uv_build, which uv runs without")
    ).met
    del table[f"setuptools: {UV}"]
    assert not row(Measured({measured.FAR: table}), work).met


def test_rows_of_many_packages() -> None:
    of = Measured(
        {
            measured.FIFTY: {OURSELVES: took(2), AGAIN: took(0.5), UV_ALL: took(20), LOOP: took(100)},
            measured.FIFTY_IN_CONTAINERS: {many.FIFTY_IN_IMAGE: took(3)},
            measured.SCALE: {
                "1": took(1, 50),
                "10": took(2),
                "200": took(20, 150, 70),
                "2000": took(180, 300, 77),
            },
        },
        {measured.FIFTY_IN_CONTAINERS: [many.FIFTY_AS_ROOT]},
    )
    ratios = {each.work: each.ratio for each in rows.rows(of) if each.ratio is not None}
    assert ratios == {
        "50 small hatchling packages, credentials and read-back included": 0.1,
        "the same 50 packages": 0.02,
        "the same 50 packages in the image": 0.15,
        "50 packages again with nothing new": 0.25,
        "time per package from 10 to 200 packages": 0.5,
        "time per package from 200 to 2000 packages": 0.9,
        "peak memory, 200 packages above one": 100,
        "peak memory of the main process, 2000 packages": 1.1,
    }
    as_root = row(of, "the same 50 packages as root, without the image")
    assert (as_root.ratio, as_root.note) == (None, f"{many.FIFTY_AS_ROOT} failed")
    of.environment_made = True
    assert not row(of, "50 packages again with nothing new").met


def test_rows_of_real_repositories() -> None:
    place = real.AS_USER
    table = {f"{place}: {OURSELVES}": took(20), f"{place}: {AGAIN}": took(1), f"{place}: {UV_EACH}": took(100)}
    missing = {real.PYDANTIC: "no folder was given with --repository"}
    of = Measured({real.HAYSTACK: table}, missing=missing, packages={real.HAYSTACK: 101})
    found = row(of, f"the packages of {real.HAYSTACK}, {place}")
    assert (found.ratio, found.target, found.met, found.note) == (0.2, 0.15, False, "101 packages")
    assert row(of, f"the packages of {real.HAYSTACK} again with nothing new").met
    assert row(of, f"the packages of {real.PYDANTIC}, in the image").note == missing[real.PYDANTIC]


def test_rows_of_the_image() -> None:
    of = Measured(
        {
            measured.START: {VERSION: took(3), PASS: took(2)},
            measured.SIZES_IN_CONTAINERS: {
                f"{sizes.ALONE}: {OURSELVES}": took(1),
                f"{sizes.FILES}: {OURSELVES}": took(3.5),
            },
        },
        size=Size(70 * MB, 31 * MB),
    )
    found = list(rows.rows(of))[-3:]
    assert [(each.ratio, each.met) for each in found] == [(2.5, True), (1.5, True), (70, False)]
    assert found[-1].note == "compressed 31.0 MB, target 30 MB"
    assert list(rows.rows(Measured(missing={measured.IMAGE_SIZE: "why"})))[-1].note == "why"


def test_nothing_measured_meets_no_target() -> None:
    assert not [each for each in rows.rows(Measured()) if each.ratio is not None or each.met]


def test_results_document_and_charts_come_from_one_run() -> None:
    results = json.loads(rows.RESULTS.read_text(encoding="utf-8"))
    text = document.DOCUMENT.read_text(encoding="utf-8")
    table = re.findall(r"^\| (.+?) \| (.+?) \| ([^|]+) \| ([^|]+) \| (yes|\*\*no\*\*) \|", text, re.MULTILINE)
    listed = [
        {
            "work": work,
            "peer": peer,
            "ratio": None if found == "not measured" else float(re.sub(r" (MB|s)$", "", found)),
            "target": float(re.sub(r" (MB|s)$", "", target)),
            "met": met == "yes",
        }
        for work, peer, found, target, met in table
    ]
    assert listed == results
    assert [each.work for each in rows.rows(Measured())] == [each["work"] for each in results]
    charts = sorted(document.CHARTS.glob("*.svg"))
    assert [chart.name for chart in charts] == sorted(re.findall(r"\(benchmarks/(.+?)\)", text))
    for chart in charts:
        drawn = chart.read_text(encoding="utf-8")
        ET.fromstring(drawn)
        seconds = re.findall(r">(\d+\.\d\d)</text>", drawn)
        assert seconds
        assert all(f"| {each} |" in text for each in seconds)


def test_a_chart_has_the_groups_of_its_table() -> None:
    drawn = document.chart("A & B", {f"one: {OURSELVES}": took(2), f"one: {UV}": took(1), f"two: {UV}": took(3)})
    texts = [text.text for text in ET.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["one, seconds", UV, "1.00", OURSELVES, "2.00", "two, seconds", UV, "3.00"]


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
