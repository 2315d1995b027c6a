"""The commands work without POSIX-only modules and functions, as on Windows."""

import subprocess
import sys
from pathlib import Path

import pytest

from gar_emulator import Emulator
from tests.integration.frontdoors import REPOSITORY, Doors, uploads
from tests.wheels import make_wheel

POSIX_ONLY = (
    *("crypt", "curses", "fcntl", "grp", "nis", "ossaudiodev", "pty", "pwd", "readline", "resource", "spwd"),
    *("syslog", "termios", "tty"),
)
"""Modules of the standard library that Windows lacks."""

POSIX_FUNCTIONS = (
    *("chown", "fork", "forkpty", "getegid", "geteuid", "getgid", "getgroups", "getpgid", "getuid", "initgroups"),
    *("killpg", "lchown", "setegid", "seteuid", "setgid", "setgroups", "setpgid", "setsid", "setuid", "wait3", "wait4"),
)
"""Functions of `os` that Windows lacks."""

WITHOUT = f"""
import os, sys
for name in {POSIX_ONLY!r}:
    sys.modules[name] = None
for name in {POSIX_FUNCTIONS!r}:
    delattr(os, name)
from gar_publish.cli.main import main
sys.exit(main())
"""


def run_without_posix(doors: Doors, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, *arguments],
        cwd=doors.folder,
        env=dict(doors.environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("command", ["publish", "index-url", "configure"])
def test_help(doors: Doors, command: str) -> None:
    done = run_without_posix(doors, command, "--help")
    assert done.returncode == 0, done.stderr


def test_publish_built_files(doors: Doors, emulator: Emulator) -> None:
    make_wheel(doors.folder / "dist", "hello")
    done = run_without_posix(doors, "publish", "--repository", REPOSITORY, "--dist", "dist")
    assert done.returncode == 0, done.stderr
    assert len(uploads(emulator)) == 1


def test_index_url(doors: Doors) -> None:
    done = run_without_posix(doors, "index-url", "--repository", REPOSITORY)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("tool", ["twine", "docker"])
def test_configure(doors: Doors, tool: str) -> None:
    done = run_without_posix(doors, "configure", tool, "--repository", REPOSITORY, "--keyring")
    assert done.returncode == 0, done.stderr
