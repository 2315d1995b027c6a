import subprocess
import sys
from pathlib import Path

import pytest

from gar_publish.cli.main import main


def test_nothing_that_windows_lacks_is_imported_at_start() -> None:
    script = (
        "import sys\n"
        "lacking = ('crypt', 'fcntl', 'grp', 'pty', 'pwd', 'readline', 'resource', 'syslog', 'termios', 'tty')\n"
        "sys.modules.update(dict.fromkeys(lacking))\n"
        "import gar_publish.cli.main, gar_publish.publish.pipeline\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("door", ["github.action", "cli.publish"])
def test_connections_wait_for_no_slow_import(door: str) -> None:
    slow = {"packaging.requirements", "requests", "ssl", "urllib3"}
    script = f"import sys, gar_publish.{door}; print(*{slow} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("arguments", [["bootstrap", "--github=octo-org/hello"], ["index-url", "--access-token=none"]])
def test_a_reader_that_has_left_is_no_mistake_of_ours(arguments: list[str]) -> None:
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "gar_publish.cli.main", *arguments, "--repository=us/my-project/python"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        output = process.stderr.read()
    assert process.returncode
    assert "Traceback" not in output


def test_a_promotion_from_nowhere_builds_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gar-publish"])
    assert main(["promote", "--from", "", "--repository=us/my-project/python", "hello"]) == 2
    said = capsys.readouterr().err
    assert "`--from` is empty." in said
    assert "Build" not in said


@pytest.mark.parametrize(("option", "printed"), [("--bar", "https://[failed\n"), ("--token", "--no-index\n")])
def test_a_failed_index_url_stops_pip(option: str, printed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index-url", option, "--no-such-option"]) == 2
    assert capsys.readouterr().out == printed
    assert main([option, "index-url"]) == 2
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize(
    ("misspelt", "printed"),
    [
        (["index_url"], "--no-index\n"),
        (["-q", "Index-Urls"], "--no-index\n"),
        (["index", "url", "-bare"], "https://[failed\n"),
        (["index-url", "--Bare"], "https://[failed\n"),
        (["pubish", "index-url"], ""),
    ],
)
def test_a_misspelt_index_url_stops_pip(misspelt: list[str], printed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(misspelt) == 2
    assert capsys.readouterr().out == printed


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has it")
def test_the_advice_does_not_name_what_could_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gar-publish"])
    doctor = ["doctor", "--repository=nowhere", "--json"]
    assert main([*doctor, str(tmp_path)]) == 2
    assert "Fix: name a file that can be written, or - for standard output\n" in capsys.readouterr().err
    done = subprocess.run(
        ["/bin/sh", "-c", '"$0" -m gar_publish.cli.main "$@" - >/dev/full', sys.executable, *doctor],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "Fix: make room on the disk" in done.stderr) == (1, True)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows removes no folder that a process is in")
def test_a_current_folder_that_was_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert main(["plan"]) == 2
    assert "The current folder was removed." in capsys.readouterr().err
