from dataclasses import dataclass, replace
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gar_publish.auth.exchange import Exchange
from gar_publish.context import Context
from gar_publish.errors import Failure
from gar_publish.settings.endpoints import Endpoints


@pytest.fixture
def exchange(context: Context, session: requests.Session) -> Exchange:
    return Exchange(context, session)


@pytest.fixture
def real(exchange: Exchange) -> Exchange:
    """Talks to Google's own hosts."""
    return elsewhere(exchange, endpoints=Endpoints())


def parts(failure: Failure) -> tuple[str, str, str, str]:
    return failure.what, failure.cause, failure.fix, failure.anchor


def elsewhere(exchange: Exchange, **changes: Any) -> Exchange:
    """Return an exchange whose context differs."""
    return replace(exchange, context=replace(exchange.context, **changes))


@dataclass(frozen=True)
class Keys:
    """A private key in PEM, made for these tests."""

    pem: str
    public: rsa.RSAPublicKey


@pytest.fixture(scope="session")
def keys() -> Keys:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Keys(pem.decode(), private.public_key())


@pytest.fixture
def key_info(keys: Keys) -> dict[str, str]:
    return {
        "type": "service_account",
        "project_id": "demo-project",
        "client_email": "publisher@demo-project.iam.gserviceaccount.com",
        "private_key_id": "0123abcd",
        "private_key": keys.pem,
        "token_uri": "http://127.0.0.1:1/where-an-attacker-listens",
        "universe_domain": "attacker.example",
    }
