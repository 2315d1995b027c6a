"""Fixtures for containers: Google and GitHub by their own names over TLS, or an emulator over plain HTTP for act."""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.types import IPAMConfig, IPAMPool

from gar_emulator import Emulator, World
from gar_emulator.world.world import Repository
from tests.conftest import ROOT, build_image, copy_tree
from tests.git import commit
from tests.integration.frontdoors import PUBLISHER
from tests.leaks import Listener
from tests.runner import Runner

GATEWAY = "169.254.169.254"
"""The address of Google's metadata server. In the network of these tests, it is the address of this machine."""

NETWORK = "gar-publish-test-production"

Checkout = Callable[[str], Path]


BUILDKIT = {"PATH": os.environ["PATH"], "DOCKER_BUILDKIT": "1"}
"""The environment in which a docker client builds with BuildKit."""

HOSTS = (
    "artifactregistry.googleapis.com",
    "iamcredentials.googleapis.com",
    "metadata.google.internal",
    "oauth2.googleapis.com",
    "sts.googleapis.com",
    "token.actions.githubusercontent.com",
    "us-central1-python.pkg.dev",
)


@dataclass(frozen=True)
class Production:
    """An emulator with the host names, ports and TLS of production.

    Attributes:
        options: The options for `docker run` to use it: network, host names, and its certificate authority.
    """

    emulator: Emulator
    options: dict[str, Any]


@pytest.fixture(scope="session")
def run_lock() -> Iterator[None]:
    """Lock out other test runs, because they use the same address and the same image names."""
    with (Path(tempfile.gettempdir()) / "gar-publish-test.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def production(
    run_lock: None,  # noqa: ARG001 - held until the end of the session
    docker_client: docker.DockerClient,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Production]:
    """Yield an emulator that looks like production. It needs root for the ports 443 and 80."""
    folder = tmp_path_factory.mktemp("production")
    for left in docker_client.networks.list(names=[NETWORK]):
        left.remove()  # of a session that was killed
    network = docker_client.networks.create(
        NETWORK, ipam=IPAMConfig(pool_configs=[IPAMPool(subnet="169.254.169.0/24", gateway=GATEWAY)])
    )
    try:
        with Emulator(
            _world(), data=folder, host=GATEWAY, port=443, plain_port=80, tls=True, production_names=True
        ) as emulator:
            yield Production(
                emulator,
                {
                    "network": network.name,
                    "extra_hosts": dict.fromkeys(HOSTS, GATEWAY),
                    "volumes": [f"{_bundle(emulator, folder)}:/etc/ssl/certs/ca-certificates.crt:ro"],
                },
            )
    finally:
        network.remove()


def _world() -> World:
    """Return the default world with a second repository that the publisher may write to."""
    world, prod = World.default(), Repository("demo-project", "us-central1", "prod")
    writer = replace(world.bindings[0], resource=prod.resource)
    return replace(world, repositories=(*world.repositories, prod), bindings=(*world.bindings, writer))


def _bundle(emulator: Emulator, folder: Path) -> Path:
    """Write a bundle of the certificate authorities of this machine, for PyPI, and of the emulator."""
    usual = ssl.get_default_verify_paths().cafile
    bundle = folder / "bundle.pem"
    bundle.write_bytes((Path(usual).read_bytes() if usual else b"") + emulator.ca_file.read_bytes())
    return bundle


@pytest.fixture
def runner(
    docker_client: docker.DockerClient, image: str, production: Production, tmp_path: Path, listener: Listener
) -> Runner:
    """Return the runner of one job, connected to `production`."""
    folder = tmp_path / "runner"
    folder.mkdir()
    return Runner(docker_client, image, folder, listener, **production.options)


@pytest.fixture
def project(runner: Runner) -> Callable[[str, str], Path]:
    """Return a function that writes a small project into the workspace."""

    def write(name: str, version: str) -> Path:
        folder = runner.workspace
        (folder / "pyproject.toml").write_text(
            '[build-system]\nrequires = ["flit_core>=3.12"]\nbuild-backend = "flit_core.buildapi"\n'
            f'[project]\nname = "{name}"\nversion = "{version}"\ndescription = "A test."\n'
        )
        (folder / f"{name}.py").write_text('"""A test."""\n')
        return folder

    return write


@pytest.fixture(scope="session")
def gateway(docker_network: Any) -> str:
    """Return the address of this machine in `docker_network`."""
    docker_network.reload()
    return str(docker_network.attrs["IPAM"]["Config"][0]["Gateway"])


@pytest.fixture
def emulator(gateway: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Yield an emulator that containers can reach over plain HTTP."""
    with Emulator(data=tmp_path_factory.mktemp("emulator"), host=gateway) as running:
        yield running


@pytest.fixture(scope="session")
def python_image(
    docker_client: docker.DockerClient, base_image: str, gateway: str, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """Build an image that stands in for python:3.14-slim, uv's image, the hosted runner, and a laptop.

    It has python, pip, pipx and uv. By default, pip allows plain HTTP for this machine only.
    """
    context = tmp_path_factory.mktemp("python")
    (context / "Dockerfile").write_text(
        f"FROM {base_image}\nRUN python3 -m venv /opt/python && /opt/python/bin/pip install --no-cache-dir pipx uv\n"
        f"ENV PATH=/opt/python/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_TRUSTED_HOST={gateway}\n"
    )
    return build_image(docker_client, context, "gar-publish-test-python")


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build gar-publish's own wheel, and return its folder."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def buildkit() -> str:
    """Return the path of a docker client that can use BuildKit, through buildx or without it."""
    for folder in os.get_exec_path():
        if client := shutil.which("docker", path=folder):
            command = [client, "build", "--help"]
            asked = subprocess.run(command, env=BUILDKIT, capture_output=True, text=True, check=False)
            if asked.returncode == 0 and "--secret" in asked.stdout:
                return client
    reason = "no docker client supports BuildKit; install buildx"
    if os.environ.get("REQUIRE_DOCKER") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def action(
    run_lock: None,  # noqa: ARG001 - held until the end of the session
    docker_client: docker.DockerClient,
    base_image: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Copy this repository with `base_image` in its Dockerfile, because act passes no build arguments."""
    with contextlib.suppress(docker.errors.ImageNotFound):
        # Otherwise act uses the image that an earlier run built from older code.
        docker_client.images.remove("act-org-gar-publish-v1-dockeraction", force=True, noprune=True)
    folder = tmp_path_factory.mktemp("action")
    copy_tree(ROOT, folder)
    dockerfile = folder / "Dockerfile"
    dockerfile.write_text(
        re.sub(r"^ARG BASE_IMAGE=.*$", f"ARG BASE_IMAGE={base_image}", dockerfile.read_text(), flags=re.MULTILINE)
    )
    return folder


def upload(emulator: Emulator, wheel: Path) -> None:
    """Upload a file to the emulator with twine."""
    url = f"{emulator.address('us-central1-python.pkg.dev')}/demo-project/python/"
    account = {"TWINE_USERNAME": "oauth2accesstoken", "TWINE_PASSWORD": emulator.access_token(PUBLISHER)}
    command = [sys.executable, "-m", "twine", "upload", "--non-interactive", f"--repository-url={url}", str(wheel)]
    subprocess.run(command, env=os.environ | account, check=True, capture_output=True)


def public_pin(folder: Path) -> dict[str, list[str]]:
    """Download idna from PyPI, and return its version with the hash of its wheel."""
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", f"--dest={folder}", "idna"]
    subprocess.run(download, check=True)
    (wheel,) = folder.glob("idna-*.whl")
    return {f"idna=={wheel.name.split('-')[1]}": [hashlib.sha256(wheel.read_bytes()).hexdigest()]}


@pytest.fixture
def checkout(tmp_path: Path, emulator: Emulator, python_image: str) -> Checkout:
    """Return a function that copies an example into a new git repository.

    The copy installs from the emulator, and its Dockerfiles use `python_image`.
    """

    def make(example: str) -> Path:
        folder = tmp_path / example
        copy_tree(ROOT / "examples" / example, folder)
        for file in folder.rglob("pyproject.toml"):
            url = emulator.address("us-central1-python.pkg.dev")
            file.write_text(file.read_text().replace("https://us-central1-python.pkg.dev", url))
        for file in folder.glob("*Dockerfile"):
            file.write_text(re.sub(r"^FROM .*$", f"FROM {python_image}", file.read_text(), flags=re.MULTILINE))
        commit(folder)
        return folder

    return make


@pytest.fixture
def act(
    action: Path,
    python_image: str,
    docker_network: Any,
    emulator: Emulator,
    clean_env: dict[str, str],
) -> Callable[..., str]:
    """Return a function that runs the workflows of a checkout for an event with act, and returns the log.

    The job has an identity token from the emulator.
    """

    def run(checkout: Path, *options: str, secrets: Mapping[str, str] | None = None, event: str = "push") -> str:
        files = {"env": emulator.exports(), "secret": secrets or {}}
        for kind, values in files.items():
            lines = [f"{name}={json.dumps(value)}\n" for name, value in values.items()]
            checkout.with_name(f"job.{kind}").write_text("".join(lines))
        command = [
            str(Path(sys.executable).with_name("act")),
            event,
            "--pull=false",
            "--action-offline-mode",
            "--no-cache-server",
            "--rm",
            f"--platform=ubuntu-latest={python_image}",
            f"--network={docker_network.name}",
            f"--local-repository=org/gar-publish@v1={action}",
            *(f"--{kind}-file={checkout.with_name(f'job.{kind}')}" for kind in files),
            *options,
        ]
        done = subprocess.run(command, cwd=checkout, env=clean_env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
