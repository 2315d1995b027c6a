import io
import json
from pathlib import Path

import pytest

from gar_publish.cli.parser import new_parser, read_inputs
from gar_publish.errors import BadInput


def inputs(
    *arguments: str, given: str = "", environment: dict[str, str] | None = None, folder: Path = Path("nowhere")
) -> dict[str, str]:
    return read_inputs(vars(new_parser().parse_args(arguments)), io.StringIO(given), environment or {}, folder)


def test_options_that_are_not_given_are_not_inputs() -> None:
    assert inputs("publish", "--repository", "a/b/c") == {"repository": "a/b/c"}


def test_options_become_inputs() -> None:
    options = ("--packages", "a", "--packages", "b", "--dry-run", "--no-verify", "--jobs", "3", "--changed-since=v1")
    assert inputs("publish", *options) == {
        "packages": "a\nb",
        "dry-run": "true",
        "verify": "false",
        "jobs": "3",
        "changed-since": "v1",
    }


def test_folders_are_packages() -> None:
    assert inputs("publish", "a", "b", "--packages", "c") == {"packages": "a\nb\nc"}
    for given in (["a"], ["--packages", "a"]):
        with pytest.raises(BadInput, match=r"A project \(a\) and `dist` cannot be combined") as caught:
            inputs("publish", *given, "--dist", "dist")
        assert caught.value.anchor == "dist-or-packages"


def test_promote() -> None:
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
    assert inputs("index-url", "--json-key", str(key)) == {"json-key": key.read_text()}


@pytest.mark.parametrize(
    ("option", "says", "fix"),
    [
        (
            "--access-token=nowhere",
            "`--access-token` takes the name of a readable file",
            "gcloud auth print-access-tok",
        ),
        ("--json-key=nowhere", "`--json-key` takes the name of a readable file", "gar-publish … --json-key key.json"),
        ("--access-token=-", "`--access-token` is empty: nothing is in standard input", "run that command on its own"),
    ],
)
def test_missing_secrets(option: str, says: str, fix: str) -> None:
    with pytest.raises(BadInput, match=says) as caught:
        inputs("publish", option)
    assert fix in caught.value.fix
    assert caught.value.anchor == "secret-files"


def test_standard_input_has_only_one_secret() -> None:
    with pytest.raises(BadInput, match="`--access-token` and `--github-token` are both `-`") as caught:
        inputs("publish", "--access-token=-", "--github-token=-", given="made-up\n")
    assert caught.value.anchor == "secret-files"


def test_closed_standard_input_has_no_secret(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is empty: nothing is in standard input"):
        read_inputs({"access-token": "-"}, None, {}, tmp_path)


def test_a_value_of_a_flag_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="There is no folder 'true', and options that are true or false take no value"):
        inputs("publish", "--dry-run", "true", folder=tmp_path)
    with pytest.raises(BadInput, match="There is no folder 'build', and options") as caught:
        inputs("publish", "--dry-run", "build", folder=tmp_path)
    assert "`gar-publish build`" in caught.value.fix
    assert inputs("publish", "build", folder=tmp_path) == {"packages": "build"}
    (tmp_path / "true").mkdir()
    assert inputs("publish", "true", folder=tmp_path) == {"packages": "true"}


def test_help_names_options_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        new_parser().parse_args(["publish", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "or a bare name with `--project` and `--location`" in text
    assert "run at once; 0 = automatic. (default: 0)" in text
    assert "--access-token FILE" in text
    assert text.count("May be repeated.") == 4
    assert "one per line" not in text
    assert "`gar-publish build` needs no identity" in text
    assert "the output `lock`" in text
    assert "A file, or - for standard input." in text


@pytest.mark.parametrize("port", ["65536", "-1", "x"])
def test_what_is_not_a_port(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        new_parser().parse_args(["emulator", f"--port={port}"])
    assert f"{port} is not a port" in capsys.readouterr().err


def test_the_last_port() -> None:
    assert new_parser().parse_args(["emulator", "--port=65535"]).port == 65535


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["pubish"], "There is no command `pubish`; did you mean `publish`?\nFix: gar-publish --help"),
        (["xyz"], "There is no command `xyz`.\nFix: gar-publish --help"),
        (["publish", "--dry_run"], "`gar-publish publish` has no option `--dry_run`; did you mean `--dry-run`?"),
        (
            ["plan", "--change-since=main"],
            "`gar-publish plan` has no option `--change-since`; did you mean `--changed-since`?",
        ),
        (
            ["publish", "--dry-run=true"],
            "`--dry-run` takes no value.\nFix: use `--dry-run` or `--no-dry-run`",
        ),
        (["publish", "--dry-run=build"], "`--dry-run` takes no value.\nFix: use `gar-publish build`"),
        (["plan", "--dry-run"], "`gar-publish plan` has no option `--dry-run`.\nFix: gar-publish plan --help"),
        (["index-url", "hello"], "`gar-publish index-url` has no argument `hello`."),
        (["doctor", ""], "`gar-publish doctor` has no argument ``."),
        (["it's"], "There is no command `it's`.\n"),
        (["--dry-run", "publish"], "`--dry-run` is before the command.\nFix: gar-publish COMMAND --dry-run"),
        (
            ["publish", "--promote-from=x"],
            "`gar-publish publish` has no option `--promote-from`.\nFix: use `gar-pub",
        ),
        (
            ["publish", "--packages-dir=x"],
            "`gar-publish publish` has no option `--packages-dir`.\nFix: set `--dist` to",
        ),
        (
            ["build", "--packages-dir=x"],
            "`gar-publish build` has no option `--packages-dir`; did you mean `--packages`?",
        ),
        (["build", "--password=x"], "`gar-publish build` has no option `--password`.\nFix: gar-publish build --help"),
        (["run", "pip", "install", "--user", "x"], "`gar-publish run` has no option `--user`.\nFix: write `--` before"),
        (
            ["run", "--repositry", "x", "--", "pip"],
            "`gar-publish run` has no option `--repositry`; did you mean `--repository`?",
        ),
        ([], "the following arguments are required: COMMAND"),
    ],
)
def test_mistyped_arguments(given: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        new_parser().parse_args(given)
    assert ended.value.code == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"error: {says}")
    assert len(printed.splitlines()) == 2


@pytest.mark.parametrize(
    "given", [[""], ["--packages", " "], ["--dist="], ["--expected-version="], ["--access-token="]]
)
def test_nothing_takes_the_place_of_an_empty_value(given: list[str]) -> None:
    """`--expected-version "$TAG"` without a tag would publish any version, and `--dist=` what is in this folder."""
    with pytest.raises(BadInput, match="` is empty"):
        inputs("publish", *given)
