import io
import json
from pathlib import Path

import pytest

from gar_publish.cli.parser import new_parser, read_inputs
from gar_publish.errors import BadInput


def inputs(*arguments: str, given: str = "") -> dict[str, str]:
    return read_inputs(vars(new_parser().parse_args(arguments)), io.StringIO(given))


def test_what_is_not_given_is_no_input() -> None:
    assert inputs("publish", "--repository", "a/b/c") == {"repository": "a/b/c"}


def test_options_have_the_form_of_inputs() -> None:
    options = ("--packages", "a", "--packages", "b", "--dry-run", "--no-verify", "--jobs", "3")
    assert inputs("publish", *options) == {"packages": "a\nb", "dry-run": "true", "verify": "false", "jobs": "3"}


def test_folders_are_packages() -> None:
    assert inputs("publish", "a", "b") == {"packages": "a\nb"}
    with pytest.raises(BadInput, match="nothing is built"):
        inputs("publish", "a", "--dist", "dist")


def test_what_is_promoted() -> None:
    given = inputs("promote", "a==1", "b==2", "--from", "dev", "--repository", "x/y/prod", "--with-dependencies")
    assert given == {
        "packages": "a==1\nb==2",
        "promote-from": "dev",
        "repository": "x/y/prod",
        "with-dependencies": "true",
    }


def test_secrets_come_from_files(tmp_path: Path) -> None:
    key = tmp_path / "key.json"
    key.write_text(json.dumps({"type": "made up"}))
    assert inputs("publish", "--credentials-json", str(key)) == {"credentials-json": key.read_text()}
    assert inputs("publish", "--access-token", "-", given="made-up\n") == {"access-token": "made-up\n"}


@pytest.mark.parametrize(
    ("file", "says"), [("nowhere", "takes a file"), ("-", "is empty: nothing is in standard input")]
)
def test_secrets_that_are_not_there(file: str, says: str) -> None:
    with pytest.raises(BadInput, match=says) as caught:
        inputs("publish", "--access-token", file)
    assert caught.value.anchor == "secret-files"


@pytest.mark.parametrize("port", ["65536", "-1", "x"])
def test_what_is_no_port(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        new_parser().parse_args(["emulator", f"--port={port}"])
    assert f"{port} is not a port" in capsys.readouterr().err
