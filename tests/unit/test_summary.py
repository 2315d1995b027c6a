from pathlib import Path

from gar_publish import summary
from tests.unit.servers import Memory


def add(markdown: str, path: Path | None) -> list[str]:
    console = Memory()
    summary.add(markdown, {summary.VARIABLE: str(path)} if path else {}, console)
    return console.said


def test_steps_add_to_each_other(tmp_path: Path) -> None:
    assert add("one", tmp_path / "summary") == add("two", tmp_path / "summary") == []
    assert (tmp_path / "summary").read_text() == "one\ntwo\n"


def test_outside_a_job_there_is_none() -> None:
    assert add("one", None) == []


def test_what_the_runner_would_drop_is_left_out(tmp_path: Path) -> None:
    (said,) = add("ä" * 600_000, tmp_path / "summary")
    assert "longer than the runner takes" in said
    assert not (tmp_path / "summary").exists()


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (said,) = add("one", tmp_path / "nowhere/summary")
    assert "cannot be written (No such file or directory)" in said
