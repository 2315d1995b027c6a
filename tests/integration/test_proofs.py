"""The proofs of bench/ with few runs, and the complete matrix of docs/reliability.md."""

from pathlib import Path

from bench import kill, matrix, memory, soak


def test_the_same_command_completes_a_killed_run(tmp_path: Path) -> None:
    assert kill.kill(4, seed=7, folder=tmp_path) == 4


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    size = 96 * memory.MIB
    small, large = memory.measure(tmp_path, size)
    assert large - small < memory.MOST < size


def test_random_faults_lose_and_double_no_file(tmp_path: Path) -> None:
    published, lost, doubled, struck = soak.soak(40, 0.1, seed=3, folder=tmp_path)
    assert (published, lost, doubled) == (40, 0, 0)
    assert struck > 10


def test_the_matrix_is_as_documented(tmp_path: Path) -> None:
    outcomes, wrong = matrix.tables(tmp_path)
    assert wrong == []
    tables = matrix.as_markdown(outcomes)
    document = matrix.DOCUMENT.read_text(encoding="utf-8")
    assert matrix.in_document(document, tables) == document, "update it: python -m bench.matrix --write"
