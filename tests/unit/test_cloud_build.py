import json
from pathlib import Path

from gar_publish.cloud_build import LIMIT, VARIABLE, step_output, write_step_output
from tests.unit.servers import Memory

OUTPUTS = {
    "extra-index-url": "--extra-index-url https://oauth2accesstoken:ya29.secret@host/simple/",
    "index-url": "https://host/simple/",
    "requirements": "hello==1.0",
    "requirements-hashed": "hello==1.0 --hash=sha256:" + "0" * 64,
    "packages": '[{"name":"hello"}]',
}


def test_everything_but_the_secret_is_handed_on() -> None:
    handed = json.loads(step_output(OUTPUTS))
    assert handed == {name: text for name, text in OUTPUTS.items() if name != "extra-index-url"}


def test_what_does_not_fit_is_left_out_rather_than_cut() -> None:
    text = step_output(OUTPUTS | {"packages": "x" * LIMIT, "requirements-hashed": "y" * (LIMIT - 10)})
    assert len(text.encode()) <= LIMIT
    assert json.loads(text) == {"index-url": "https://host/simple/", "requirements": "hello==1.0"}


def test_the_output_is_a_file_of_the_step(tmp_path: Path, console: Memory) -> None:
    write_step_output(OUTPUTS, {VARIABLE: str(tmp_path)}, console)
    assert (tmp_path / "output").read_text(encoding="utf-8") == step_output(OUTPUTS)
    write_step_output(OUTPUTS, {}, console)
    assert console.said == []
    write_step_output(OUTPUTS, {VARIABLE: str(tmp_path / "nowhere")}, console)
    assert console.said[0].startswith("The step has no output")
