import json
import os
from pathlib import Path

import pytest

from gar_publish.report import ci_files
from gar_publish.report.ci_files import BUILDER_OUTPUT, OUTPUT_LIMIT, step_output, write_step_output
from tests.unit.servers import Memory


def add(markdown: str, path: Path | None) -> list[str]:
    console = Memory()
    ci_files.add_step_summary(markdown, {ci_files.STEP_SUMMARY: str(path)} if path else {}, console)
    return console.said


def test_steps_add_to_each_other(tmp_path: Path) -> None:
    assert add("one", tmp_path / "summary") == add("two", tmp_path / "summary") == []
    assert (tmp_path / "summary").read_text() == "one\ntwo\n"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no /dev/fd")
def test_a_summary_can_be_a_pipe() -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader, encoding="utf-8") as output:
        assert add("one", Path(f"/dev/fd/{writer}")) == []
        os.close(writer)
        assert output.read() == "one\n"


def test_outside_a_job_there_is_no_summary() -> None:
    assert add("one", None) == []


def test_a_summary_that_the_runner_would_drop_is_a_warning(tmp_path: Path) -> None:
    assert add("ä" * 400_000, tmp_path / "summary") == []
    (warning,) = add("ä" * 200_000, tmp_path / "summary")
    assert warning == "The step summary is not complete: it would exceed the runner's limit of 1,024 KiB."
    assert (tmp_path / "summary").stat().st_size == 800_001


def test_a_summary_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    (warning,) = add("one", tmp_path / "nowhere/summary")
    assert "The step summary could not be added: cannot write " in warning


OUTPUTS = {
    "extra-index-url": "--extra-index-url https://oauth2accesstoken:ya29.secret@host/simple/",
    "index-url": "https://host/simple/",
    "requirements": "hello==1.0",
    "requirements-hashed": "hello==1.0 --hash=sha256:" + "0" * 64,
    "packages": '[{"name":"hello"}]',
}


def test_every_output_but_the_secret_is_in_the_step_output() -> None:
    handed = json.loads(step_output(OUTPUTS))
    assert handed == {name: text for name, text in OUTPUTS.items() if name != "extra-index-url"}


def test_an_output_that_does_not_fit_is_left_out_rather_than_cut() -> None:
    text = step_output(OUTPUTS | {"packages": "x" * OUTPUT_LIMIT, "requirements-hashed": "y" * (OUTPUT_LIMIT - 10)})
    assert len(text.encode()) <= OUTPUT_LIMIT
    assert json.loads(text) == {"index-url": "https://host/simple/", "requirements": "hello==1.0"}


def test_the_output_is_a_file_of_the_step(tmp_path: Path, console: Memory) -> None:
    write_step_output(OUTPUTS, {BUILDER_OUTPUT: str(tmp_path)}, console)
    assert (tmp_path / "output").read_text(encoding="utf-8") == step_output(OUTPUTS)
    write_step_output(OUTPUTS, {}, console)
    assert console.said == []
    write_step_output(OUTPUTS, {BUILDER_OUTPUT: str(tmp_path / "nowhere")}, console)
    assert console.said[0].startswith("The step outputs could not be set")
