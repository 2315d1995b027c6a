import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from gar_emulator import Emulator


@pytest.fixture
def emulator(data: Path) -> Iterator[Emulator]:
    with Emulator(data=data, tls=True) as running:
        yield running


@pytest.mark.parametrize(
    "host",
    [
        "us-central1-python.pkg.dev",
        "europe-python.pkg.dev",
        "sts.googleapis.com",
        "iamcredentials.googleapis.com",
        "oauth2.googleapis.com",
        "artifactregistry.googleapis.com",
        "cloudresourcemanager.googleapis.com",
        "token.actions.githubusercontent.com",
    ],
)
def test_certificate_is_valid_for_every_host(emulator: Emulator, host: str) -> None:
    context = ssl.create_default_context(cafile=str(emulator.ca_file))
    port = int(emulator.url.rpartition(":")[2])
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain, server_hostname=host) as connection,
    ):
        assert connection.version() in {"TLSv1.2", "TLSv1.3"}


def test_address_and_exports(emulator: Emulator) -> None:
    exports = emulator.exports()
    assert exports["GAR_EMULATOR_HOST"] == emulator.url
    assert exports["GCE_METADATA_HOST"] == emulator.plain_url.removeprefix("http://")
    with requests.Session() as session:
        session.trust_env = False
        session.verify = exports["REQUESTS_CA_BUNDLE"]
        assert (
            session.get(f"{emulator.url}/us-central1-python.pkg.dev/demo-project/python/simple/any/").status_code == 401
        )
        assert session.get(emulator.plain_url).headers["Metadata-Flavor"] == "Google"


def test_authority_is_kept(emulator: Emulator, data: Path) -> None:
    before = emulator.ca_file.read_bytes()
    with Emulator(data=data, tls=True) as again:
        assert again.ca_file.read_bytes() == before


def test_production_names(data: Path) -> None:
    with Emulator(data=data, tls=True, production_names=True) as emulator:
        exports = emulator.exports()
        assert exports["ACTIONS_ID_TOKEN_REQUEST_URL"].startswith("https://token.actions.githubusercontent.com/")
        assert "GAR_EMULATOR_HOST" not in exports
        assert emulator.address("sts.googleapis.com") == "https://sts.googleapis.com"
