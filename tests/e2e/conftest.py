"""Google and GitHub, as the containers of these tests see them: by their own names, over TLS."""

import fcntl
import ssl
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.types import IPAMConfig, IPAMPool

from gar_publish.emulator import Emulator
from tests.leaks import Listener
from tests.runner import Runner

GATEWAY = "169.254.169.254"
"""Where the metadata server is on Google's machines; here it is this machine, as the tests' network sees it."""

NETWORK = "gar-publish-test-production"

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
    """An emulator that a container cannot tell from the real thing.

    Attributes:
        options: What `docker run` needs to be in that world: its network, its names, and its certificate authority.
    """

    emulator: Emulator
    options: dict[str, Any]


@pytest.fixture(scope="session")
def production(docker_client: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    """Needs root, for ports 443 and 80."""
    folder = tmp_path_factory.mktemp("production")
    with (Path(tempfile.gettempdir()) / "gar-publish-test.lock").open("w") as lock:
        # There is one such address on a machine: sessions take turns, and clear away what a killed one left.
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in docker_client.networks.list(names=[NETWORK]):
            left.remove()
        network = docker_client.networks.create(
            NETWORK, ipam=IPAMConfig(pool_configs=[IPAMPool(subnet="169.254.169.0/24", gateway=GATEWAY)])
        )
        try:
            with Emulator(
                data=folder, host=GATEWAY, port=443, plain_port=80, tls=True, production_names=True
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


def _bundle(emulator: Emulator, folder: Path) -> Path:
    """The authorities of this machine, for PyPI, and the emulator's."""
    usual = ssl.get_default_verify_paths().cafile
    bundle = folder / "bundle.pem"
    bundle.write_bytes((Path(usual).read_bytes() if usual else b"") + emulator.ca_file.read_bytes())
    return bundle


@pytest.fixture
def runner(
    docker_client: docker.DockerClient, image: str, production: Production, tmp_path: Path, listener: Listener
) -> Runner:
    """The runner of one job, in the world that looks like production."""
    folder = tmp_path / "runner"
    folder.mkdir()
    return Runner(docker_client, image, folder, listener, **production.options)


@pytest.fixture
def project(runner: Runner) -> Callable[[str, str], Path]:
    """Writes a small project into the workspace."""

    def write(name: str, version: str) -> Path:
        folder = runner.workspace
        (folder / "pyproject.toml").write_text(
            '[build-system]\nrequires = ["flit_core>=3.12"]\nbuild-backend = "flit_core.buildapi"\n'
            f'[project]\nname = "{name}"\nversion = "{version}"\ndescription = "A test."\n'
        )
        (folder / f"{name}.py").write_text('"""A test."""\n')
        return folder

    return write
