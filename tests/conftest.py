"""Fixtures for all tests: a clean environment for programs, an emulator, and Docker."""

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from gar_emulator import Emulator
from tests.gcloud import Gcloud, require

ROOT = Path(__file__).parent.parent
PASSED_ON = ("PATH", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
"""Environment variables that a process needs to run and to reach PyPI."""

BASE_IMAGE = "gar-publish-base:trixie"


@pytest.fixture(scope="session")
def session_env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment of the processes that tests start: only what they need to reach PyPI.

    All tests and workers of a session share the caches of uv and pip.
    """
    folder = tmp_path_factory.getbasetemp()
    kept = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    return {
        **{name: os.environ[name] for name in PASSED_ON if name in os.environ},
        "HOME": str(tmp_path_factory.mktemp("home")),
        "PIP_CACHE_DIR": str(kept / "pip"),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "UV_CACHE_DIR": str(kept / "uv"),
    }


@pytest.fixture
def clean_env(session_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return `session_env` with a separate home, and the TMPDIR that is searched for leaks."""
    return {**session_env, "HOME": str(tmp_path_factory.mktemp("home")), "TMPDIR": tempfile.gettempdir()}


@pytest.fixture
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Yield an emulator with the default world, for one test."""
    with Emulator(data=tmp_path_factory.mktemp("emulator")) as running:
        yield running


@pytest.fixture(scope="session")
def gcloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gcloud]:
    """Yield the real gcloud. Without gcloud, skip the test, or fail it if REQUIRE_GCLOUD=1."""
    running = Gcloud(require(), tmp_path_factory.mktemp("gcloud"))
    yield running
    running.close()


@pytest.fixture(scope="session")
def docker_client() -> Iterator[docker.DockerClient]:
    """Yield a client of the Docker engine. Without an engine, skip the tests, or fail them if REQUIRE_DOCKER=1."""
    try:
        client = docker.from_env(timeout=600)
        client.ping()
    except docker.errors.DockerException as error:
        reason = f"there is no Docker engine: {error}"
        if os.environ.get("REQUIRE_DOCKER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    yield client
    client.close()


@pytest.fixture(scope="session")
def base_image(docker_client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Build an image to use as BASE_IMAGE, from the local Debian image if it exists, otherwise from the real base.

    It trusts the certificate authorities of this machine, so that builds can reach PyPI.
    """
    try:
        docker_client.images.get(BASE_IMAGE)
        parent = BASE_IMAGE
    except docker.errors.ImageNotFound:
        parent = (ROOT / "Dockerfile").read_text().partition("ARG BASE_IMAGE=")[2].split()[0]
    context = tmp_path_factory.mktemp("base")
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    shutil.copy(os.environ.get("SSL_CERT_FILE", bundle), context / "ca.crt")
    (context / "Dockerfile").write_text(
        f"FROM {parent}\nCOPY ca.crt {bundle}\n"
        f"ENV SSL_CERT_FILE={bundle} REQUESTS_CA_BUNDLE={bundle} PIP_CERT={bundle} PIP_ROOT_USER_ACTION=ignore\n"
    )
    return build_image(docker_client, context, "gar-publish-test-base")


@pytest.fixture(scope="session")
def image(docker_client: docker.DockerClient, base_image: str) -> str:
    """Build the Dockerfile on `base_image`, and return the name of the image."""
    return build_image(docker_client, ROOT, "gar-publish-test-image", {"BASE_IMAGE": base_image})


@pytest.fixture(scope="session")
def docker_network(docker_client: docker.DockerClient) -> Iterator[Any]:
    """Yield a Docker network for this session."""
    network = docker_client.networks.create(f"gar-publish-test-{uuid.uuid4().hex[:12]}")
    yield network
    network.remove()


def copy_tree(source: Path, target: Path) -> None:
    """Copy the files of a checkout, without its history and without ignored files."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=source,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in listed.stdout.split("\0"):
        if name and (source / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / name, target / name)


def build_image(client: docker.DockerClient, context: Path, tag: str, arguments: dict[str, str] | None = None) -> str:
    """Build a Dockerfile with the classic builder, and return the name of the image."""
    try:
        client.images.build(path=str(context), tag=tag, buildargs=arguments, rm=True, forcerm=True)
    except docker.errors.BuildError as error:
        lines = [str(part.get("stream") or part.get("error") or "").rstrip() for part in error.build_log]
        pytest.fail("\n".join(["the image cannot be built:", *lines]), pytrace=False)
    return tag
