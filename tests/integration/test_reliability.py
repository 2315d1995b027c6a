"""The reliability tests of bench/ with few runs, and the complete matrix of docs/reliability.md."""

from pathlib import Path

import pytest

from bench import again, kill, matrix, memory, soak
from bench.corpus.projects import projects
from tests.git import commit

UNSTABLE = """import setuptools, time
setuptools.setup(name="clock", version="1", py_modules=["clock"], description=str(time.time_ns()))
"""


def test_the_same_command_completes_a_killed_run(tmp_path: Path) -> None:
    assert kill.kill(4, seed=7, folder=tmp_path) == 4


def test_a_second_run_skips_what_has_the_same_contents(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clock = tmp_path / "clock"
    clock.mkdir()
    (clock / "setup.py").write_text(UNSTABLE)
    (clock / "clock.py").touch()
    commit(clock)
    (six,) = (each for each in projects() if each.label == "six-1.17.0")  # its sdist has the time in its gzip header
    assert again.again([six, again.Monorepo(clock, ".")], 2, tmp_path) == 1
    table = capsys.readouterr().out
    assert "| six-1.17.0 | 2 | skipped |  |" in table
    assert "| clock (clone) | 2 | NOT SKIPPED | " in table
    assert "summary in clock-1.dist-info/METADATA" in table


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    size = 96 * memory.MIB
    small, large = memory.measure(tmp_path, size)
    assert large - small < memory.MOST < size


def test_random_faults_lose_and_double_no_file(tmp_path: Path) -> None:
    published, lost, doubled, struck = soak.soak(40, 0.1, seed=3, folder=tmp_path)
    assert (published, lost, doubled) == (40, 0, 0)
    assert struck > 10


def test_the_matrix_is_as_documented(tmp_path: Path) -> None:
    outcomes, wrong = matrix.tables(tmp_path, matrix.ROWS[::8])
    assert wrong == []
    document = matrix.DOCUMENT.read_text(encoding="utf-8")
    found = [line for line in matrix.as_markdown(outcomes).splitlines() if line]
    assert found == [line for line in document.splitlines() if line in found], (
        "update it: python -m bench.matrix --write"
    )
