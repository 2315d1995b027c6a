"""The distribution gar-emulator, installed without gar-publish, runs the commands of its README.md."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.blocks import blocks
from tests.conftest import ROOT
from tests.leaks import Leaks
from tests.wheels import make_wheel

START, USE = (block.text for block in blocks(ROOT / "emulator/README.md"))
CHECK = "import gar_emulator, importlib.util; print(importlib.util.find_spec('gar_publish'), gar_emulator.__file__)"


@pytest.fixture
def environment(tmp_path: Path, session_env: dict[str, str]) -> dict[str, str]:
    """Return variables for a fresh virtual environment, and for uv to find a wheel of gar-emulator.

    uv, pip and twine are those of the tests.
    """
    hatchling = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "built")]
    subprocess.run(hatchling, cwd=ROOT / "emulator", check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    return {
        **session_env,
        "PATH": f"{tmp_path}/venv/bin:{Path(sys.executable).parent}:/usr/bin:/bin",
        "PIP_PYTHON": str(tmp_path / "venv/bin/python"),
        "UV_FIND_LINKS": str(tmp_path / "built"),
        "VIRTUAL_ENV": str(tmp_path / "venv"),
    }


@contextmanager
def started(script: str, folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """Run a script that starts the emulator, and yield its output up to the last export. `tee` writes it later."""
    with subprocess.Popen(
        ["bash", "-e", "-c", script],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        watchdog = threading.Timer(60, os.killpg, (process.pid, signal.SIGKILL))
        watchdog.start()
        try:
            assert process.stdout
            said = ""
            while "GCE_METADATA_ROOT" not in said:
                line = process.stdout.readline()
                assert line, said
                said += line
            yield said
        finally:
            watchdog.cancel()
            os.killpg(process.pid, signal.SIGTERM)


def run(script: str, folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-e", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_readme_installs_starts_and_uses_it(tmp_path: Path, environment: dict[str, str], leaks: Leaks) -> None:
    if not shutil.which("curl"):
        pytest.skip("needs curl")
    leaks.excuse("the argument vector of")  # the README gives pip a token in its index URL
    leaks.excuse("the environment of")  # and twine one in a variable
    wheel = make_wheel(tmp_path / "dist", "hello", content="print('Hello.')")
    install, _, start = START.partition("\n")
    assert install == "pip install gar-emulator"
    run(f"uv {install}", tmp_path, environment)  # several times as fast as pip
    with started(start.replace("gar-emulator", "gar-emulator --port 0", 1), tmp_path, environment) as said:
        assert re.search(r"^export GAR_EMULATOR_HOST='http://127\.0\.0\.1:\d+'$", said, re.MULTILINE)
        run(f"until grep -q GCE_METADATA_ROOT emulator.env; do sleep 0.01; done\n{USE}", tmp_path, environment)
    stored = tmp_path / ".gar-emulator/repositories/us-central1/demo-project/python/hello" / wheel.name
    assert stored.read_bytes() == wheel.read_bytes()
    assert run("python -c 'import hello'", tmp_path, environment) == "Hello.\n"
    assert run(f'python -c "{CHECK}"', tmp_path, environment).startswith(f"None {tmp_path}/venv/")
    assert "--port PORT" in run("gar-emulator --help", tmp_path, environment)
