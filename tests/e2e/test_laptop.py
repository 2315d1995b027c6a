"""The commands of docs/local.md on a fresh machine: the built wheel, real pipx and uvx, an empty home."""

import json
import re
from pathlib import Path

import docker
import pytest

from tests.blocks import blocks
from tests.conftest import ROOT, copy_tree
from tests.e2e.conftest import Production
from tests.integration.frontdoors import PUBLISHER
from tests.leaks import Leaks
from tests.stored import store
from tests.wheels import make_wheel

pytestmark = pytest.mark.docker


@pytest.fixture
def gcloud(production: Production, tmp_path: Path) -> Path:
    """Write a gcloud that is logged in as the publisher, and return its path."""
    credential = {"access_token": production.emulator.access_token(PUBLISHER), "token_expiry": "2100-01-01T00:00:00Z"}
    program = tmp_path / "gcloud"
    answer = json.dumps({"credential": credential})
    program.write_text(f"#!/bin/sh\n[ \"$*\" = 'auth login' ] || echo '{answer}'\n")
    program.chmod(0o755)
    return program


@pytest.mark.parametrize("runner", [pytest.param("pipx", marks=pytest.mark.thorough), "uvx"])
def test_the_commands_publish_and_install_with_gclouds_login(
    *,
    runner: str,
    docker_client: docker.DockerClient,
    python_image: str,
    production: Production,
    dist: Path,
    gcloud: Path,
    tmp_path: Path,
    leaks: Leaks,
) -> None:
    (commands,) = (each.text for each in blocks(ROOT / "docs/local.md") if each.text.startswith(runner))
    checkout = tmp_path / "checkout"
    copy_tree(ROOT / "examples/json-key", checkout)
    project = checkout / "pyproject.toml"
    project.write_text(project.read_text().replace('"greetings', f'"{runner}-greetings'))
    (repository,) = (each for each in production.emulator.cloud.repositories if each.resource.endswith("/python"))
    store(production.emulator, repository, make_wheel(tmp_path, f"{runner}-greetings-words"))

    log = docker_client.containers.run(
        python_image,
        ["sh", "-ec", commands.replace("my-project", "demo-project").replace("my-package", f"{runner}-greetings")],
        remove=True,
        stderr=True,
        working_dir="/work",
        environment={
            "HOME": "/home/me",
            "NO_GCE_CHECK": "true",  # unlike a laptop, the network has a metadata server
            "PATH": "/home/me/.local/bin:/opt/python/bin:/usr/bin:/bin",
            "PIP_FIND_LINKS": "/dist",
            "UV_FIND_LINKS": "/dist",
            "VIRTUAL_ENV": "/opt/python",
        },
        network=production.options["network"],
        extra_hosts=production.options["extra_hosts"],
        volumes=[
            *production.options["volumes"],
            f"{checkout}:/work",
            f"{dist}:/dist:ro",
            f"{gcloud}:/usr/bin/gcloud:ro",
        ],
    ).decode()

    leaks.scan("the log", log)
    assert f"uploaded  {runner}_greetings-1.0.0-py3-none-any.whl" in log
    assert "\x1b" not in log
    if runner == "uvx":
        assert {f"uvx-greetings{each}" for each in ("", "-words")} | {"idna"} <= set(re.findall(r"\+ ([\w-]+)==", log))
