"""`gar-publish run`: the program that it starts can install from the repository, and leaves no token."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pip._internal.models.index import PyPI

from tests.integration.frontdoors import DIRECT, PUBLISHER, REPOSITORY, Done, Doors
from tests.integration.laptop import NAME, Laptop, ToolFailure
from tests.leaks import Leaks
from tests.wheels import make_wheel

RUN = ("run", "--repository", REPOSITORY)
URL = "https://us-central1-python.pkg.dev/demo-project/python/simple/"
UV = f'[[tool.uv.index]]\nname = "{NAME}"\nurl = "{URL}"\nexplicit = true\n[tool.uv.sources]\nhello.index = "{NAME}"\n'
POETRY = f'[[tool.poetry.source]]\nname = "{NAME}"\nurl = "{URL}"\npriority = "explicit"\n'
PDM = f'[[tool.pdm.source]]\nname = "{NAME}"\nurl = "{URL}"\nverify_ssl = true\n'


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """A folder for the private files of runs."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


def run(laptop: Laptop, temporary: Path, *arguments: str | Path) -> Done:
    return Doors(laptop.project, {**laptop.environment, "TMPDIR": str(temporary)}).command(*RUN, "--", *arguments)


@pytest.mark.parametrize(
    ("settings", "command"),
    [
        ("", ("pip", "install", "--no-cache-dir", "--target", ".venv", "hello")),
        ("", ("uv", "pip", "install", "--target", ".venv", "hello")),
        ("", ("env", "UV_TOOL_DIR=.venv", "uv", "tool", "install", "hello")),
        (UV, ("uv", "sync")),
        (POETRY, ("poetry", "install", "--no-interaction", "--no-ansi")),
        (PDM, ("pdm", "install", "--no-self")),
    ],
)
def test_tools_install_and_keep_no_token(
    laptop: Laptop, temporary: Path, settings: str, command: tuple[str, ...]
) -> None:
    pyproject = laptop.project / "pyproject.toml"
    pyproject.write_text(f"{pyproject.read_text()}\n{settings}")
    done = run(laptop, temporary, *command)
    assert done.code == 0, done.out + done.err
    assert list((laptop.project / ".venv").rglob("hello.py"))
    assert laptop.readers() == {f"serviceAccount:{PUBLISHER}"}
    assert not list(temporary.glob("gar-publish-*"))
    left = [file for file in laptop.project.rglob("*") if file.is_file() and b"ya29." in file.read_bytes()]
    assert not left


def test_the_printed_line_works_in_every_shell(laptop: Laptop, temporary: Path, tmp_path: Path, leaks: Leaks) -> None:
    """Paste the line of `publish` into interactive shells; the name of the token's file makes it quote a word."""
    for shell in ("fish", "zsh"):
        if not shutil.which(shell):
            assert os.environ.get("CI") != "true", f"install {shell}"
            pytest.skip(f"{shell} is not installed")
    wheel = make_wheel(tmp_path / "published", "hello", "2.0")
    token = laptop.project.parent / "my token"
    token.write_text((laptop.project.parent / "token").read_text())
    leaks.expect(token)
    doors = Doors(laptop.project, laptop.environment)
    published = doors.command(
        "publish", "--repository", REPOSITORY, "--access-token", "../my token", "--dist", str(wheel)
    )
    assert published.code == 0, published.err
    (line,) = re.findall(r"^To install: (.+)", published.err, re.MULTILINE)
    assert "'../my token'" in line
    for shell in ("fish", "zsh"):
        environment = {**laptop.environment, "TMPDIR": str(temporary), "PIP_TARGET": shell, "PIP_NO_CACHE_DIR": "1"}
        pasted = subprocess.run(
            [shell, "-i"],
            input=f"{line}\n",
            cwd=laptop.project,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (laptop.project / shell / "hello.py").is_file(), pasted.stdout + pasted.stderr
        assert "ya29." not in pasted.stdout + pasted.stderr


def test_the_program_gets_its_input_and_its_exit_code_is_ours(laptop: Laptop, temporary: Path) -> None:
    assert run(laptop, temporary, "sh", "-c", "exit 9").code == 9
    assert run(laptop, temporary, "sh", "-c", "kill -KILL $$").code == 128 + signal.SIGKILL
    done = run(laptop, temporary, "sh", "-c", 'stat -c %a "$NETRC" "$(dirname "$NETRC")"')
    assert done.out == "600\n700\n"


def test_logins_of_other_hosts_stay(laptop: Laptop, temporary: Path) -> None:
    (laptop.home / ".netrc").write_text("machine example.com login me password x\n")
    done = run(laptop, temporary, "sh", "-c", 'cut -d" " -f1-4 "$NETRC"')
    host = "us-central1-python.pkg.dev"
    assert done.out == f"machine {host} login oauth2accesstoken\nmachine example.com login me\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_reach_the_program(laptop: Laptop, temporary: Path, number: signal.Signals, tmp_path: Path) -> None:
    script = f"trap 'echo got >{tmp_path}/got; exit 3' {number.name[3:]}; touch {tmp_path}/ready; sleep 60 & wait"
    command = [sys.executable, "-m", "gar_publish.cli.main", *RUN, "--", "sh", "-c", script]
    environment = {**laptop.environment, "TMPDIR": str(temporary)}
    process = subprocess.Popen(command, cwd=laptop.project, env=environment, start_new_session=True)
    while not (tmp_path / "ready").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    assert process.wait(timeout=10) == 3
    assert (tmp_path / "got").exists()
    assert not list(temporary.iterdir())


def test_the_files_of_a_run_that_was_killed_are_removed_by_the_next(laptop: Laptop, temporary: Path) -> None:
    command = [sys.executable, "-m", "gar_publish.cli.main", *RUN, "--", "sleep", "60"]
    environment = {**laptop.environment, "TMPDIR": str(temporary)}
    with subprocess.Popen(command, cwd=laptop.project, env=environment, start_new_session=True) as process:
        while not list(temporary.glob("*/netrc")):
            assert process.poll() is None
            time.sleep(0.02)
        assert run(laptop, temporary, "true").code == 0
        assert len(list(temporary.iterdir())) == 1  # that run still needs it
        process.kill()
    assert run(laptop, temporary, "true").code == 0
    assert not list(temporary.iterdir())


def test_a_token_that_ends_soon_is_told_first(laptop: Laptop, temporary: Path, leaks: Leaks) -> None:
    leaks.excuse("the environment of")  # it has the request token of the job
    environment = {**laptop.environment, **laptop.registry.exports(), "TMPDIR": str(temporary)}
    done = Doors(laptop.project, environment).command(*RUN, *DIRECT, "--", "sh", "-c", "echo started >&2")
    assert done.code == 0, done.err
    assert "in less than ten minutes" in done.err.partition("started")[0]


def test_no_program_starts_without_a_token(laptop: Laptop, temporary: Path) -> None:
    (laptop.project.parent / "token").write_text("ya29.dead")
    environment = {**laptop.environment, "TMPDIR": str(temporary)}
    done = Doors(laptop.project, environment).command(*RUN, "--access-token", "../token", "--", "touch", "started")
    assert done.code == 3
    assert not (laptop.project / "started").exists()
    assert not list(temporary.iterdir())


def test_a_runtime_folder_that_is_gone_is_not_needed(laptop: Laptop, temporary: Path) -> None:
    environment = {**laptop.environment, "TMPDIR": str(temporary), "XDG_RUNTIME_DIR": "/run/user/nobody"}
    done = Doors(laptop.project, environment).command(*RUN, "--", "sh", "-c", 'echo "$NETRC"')
    assert done.out.startswith(str(temporary)), done.err


def test_a_program_that_is_not_there_is_named(laptop: Laptop, temporary: Path) -> None:
    done = run(laptop, temporary, "pipp", "install", "hello")
    assert done.code == 2
    assert "There is no program pipp." in done.errors[0]


def test_configure_netrc(laptop: Laptop, leaks: Leaks) -> None:
    """The index is a plain URL; the login of another host stays."""
    file = laptop.home / ".netrc"
    leaks.expect(file)
    file.write_text("machine example.com login me password x\n")
    laptop.configure("netrc", "token")
    assert file.stat().st_mode & 0o777 == 0o600
    assert "machine example.com login me password x" in file.read_text()
    laptop.run("pip", "install", "--no-cache-dir", "--target", ".venv", "--extra-index-url", URL, "hello")
    assert laptop.readers() == {f"serviceAccount:{PUBLISHER}"}
    stale = laptop.configure("pip", "keyring")
    assert f"{file} has a login for us-central1-python.pkg.dev." in stale.warnings[1]


@pytest.mark.parametrize("tool", [("pip", "install", "--no-cache-dir"), ("uv", "pip", "install")])
def test_a_url_that_could_not_be_made_ends_the_tool(laptop: Laptop, tool: tuple[str, ...]) -> None:
    command = ("index-url", "--repository", REPOSITORY, "--access-token", "../token", "--bare")
    doors = Doors(laptop.project, laptop.environment)
    assert doors.command(*command).out.endswith("@us-central1-python.pkg.dev/demo-project/python/simple/\n")
    (laptop.project.parent / "token").write_text("ya29.dead")
    url = doors.command(*command).out.strip()
    with pytest.raises(ToolFailure, match=r"(?i)invalid ipv6"):
        laptop.run(*tool, "--target", ".venv", "--index-url", PyPI.simple_url, "--extra-index-url", url, "packaging")
