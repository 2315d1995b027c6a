import json

from gar_publish.cloud_build import LIMIT, step_output

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
