"""The example workflow, run by act: a job that publishes and installs, and a second one that gets the outputs."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from gar_publish.emulator import Emulator
from tests.conftest import ROOT, copy_tree

pytestmark = pytest.mark.docker

EXAMPLE = ROOT / "examples" / "github-workload-identity"


@pytest.fixture
def action(base_image: str, tmp_path: Path) -> Path:
    """This repository as `org/gar-publish@v1`, with the base image written in: act gives a Dockerfile no arguments."""
    folder = tmp_path / "action"
    copy_tree(ROOT, folder)
    dockerfile = folder / "Dockerfile"
    dockerfile.write_text(
        re.sub(r"^ARG BASE_IMAGE=.*$", f"ARG BASE_IMAGE={base_image}", dockerfile.read_text(), flags=re.MULTILINE)
    )
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The example as a repository of its own."""
    folder = tmp_path / "greetings"
    copy_tree(EXAMPLE, folder)
    author = ["-c", "user.name=octocat", "-c", "user.email=octocat@example.org"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], [*author, "commit", "-qm", "Start"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


@pytest.fixture
def emulator(docker_network: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulator that the containers of one network reach."""
    docker_network.reload()
    gateway = docker_network.attrs["IPAM"]["Config"][0]["Gateway"]
    with Emulator(data=tmp_path_factory.mktemp("emulator"), host=gateway) as running:
        yield running


@pytest.fixture
def act(
    action: Path, base_image: str, docker_network: Any, emulator: Emulator, clean_env: dict[str, str]
) -> Callable[[Path], str]:
    """Runs the workflows of a checkout for a push, and returns the log."""

    def run(checkout: Path) -> str:
        # pip takes plain HTTP from this machine only, unless told otherwise.
        job = emulator.exports() | {"PIP_TRUSTED_HOST": str(urlsplit(emulator.url).hostname)}
        variables = checkout.with_name("job.env")
        variables.write_text("".join(f"{name}={value}\n" for name, value in job.items()))
        command = [
            str(Path(sys.executable).with_name("act")),
            "push",
            "--pull=false",
            "--action-offline-mode",
            "--no-cache-server",
            "--rm",
            f"--platform=ubuntu-latest={base_image}",
            f"--network={docker_network.name}",
            f"--local-repository=org/gar-publish@v1={action}",
            f"--env-file={variables}",
        ]
        done = subprocess.run(command, cwd=checkout, env=clean_env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_the_example_publishes_installs_and_hands_on(
    act: Callable[[Path], str], checkout: Path, emulator: Emulator
) -> None:
    log = act(checkout)
    (stored,) = emulator.files()

    assert stored.filename == "greetings-1.0.0-py3-none-any.whl"
    publish = _said(log, "publish/publish")
    assert "Successfully installed greetings-1.0.0" in publish
    assert "Hello, octocat!" in publish

    announced = dict(line.split(": ", 1) for line in _said(log, "publish/announce") if ": " in line)
    assert announced["index"] == f"{emulator.url}/us-central1-python.pkg.dev/demo-project/python/simple/"
    assert announced["requirements"] == "greetings==1.0.0"
    (package,) = json.loads(announced["packages"])
    assert [(file["filename"], file["sha256"]) for file in package["files"]] == [(stored.filename, stored.sha256)]


def _said(log: str, job: str) -> list[str]:
    """What the steps of one job printed."""
    return re.findall(rf"^\[{job}\s*\]\s*\| (.*)$", log, re.MULTILINE)
