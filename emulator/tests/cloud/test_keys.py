import base64
import stat
from pathlib import Path

import jwt
import pytest

from emulated import CLOUD_PLATFORM, POOL, PUBLISHER, Clock
from gar_emulator.cloud.keys import Keys, decode_basic, identity

SCOPES = frozenset({CLOUD_PLATFORM})


@pytest.fixture
def keys(data: Path, clock: Clock) -> Keys:
    return Keys(data / "keys", clock)


def test_access_token_survives_a_restart(keys: Keys, data: Path, clock: Clock) -> None:
    token = keys.access_token("user:a@example.com", SCOPES, 60)
    who = Keys(data / "keys", clock).read_access_token(token)
    assert who
    assert (who.principal, who.scopes) == ("user:a@example.com", SCOPES)
    assert token.startswith("ya29.")


def test_access_token_expires(keys: Keys, clock: Clock) -> None:
    token = keys.access_token("user:a@example.com", frozenset(), 60)
    clock.now += 59
    assert keys.read_access_token(token)
    clock.now += 1
    assert keys.read_access_token(token) is None


@pytest.mark.parametrize("bad", ["", "ya29.", "ya29.e30.", "ya29.e30.eA", "token", "ya29.é.é"])
def test_foreign_token_has_no_identity(keys: Keys, bad: str) -> None:
    assert keys.read_access_token(bad) is None


def test_changed_token_has_no_identity(keys: Keys) -> None:
    token = keys.access_token("user:a@example.com", frozenset(), 60)
    header, payload, signature = token.removeprefix("ya29.").split(".")
    changed = base64.urlsafe_b64encode(base64.urlsafe_b64decode(payload + "==").replace(b"a@", b"b@")).decode()
    assert keys.read_access_token(f"ya29.{header}.{changed.rstrip('=')}.{signature}") is None


def test_a_token_of_another_kind_has_no_identity(keys: Keys) -> None:
    for other in (keys.request_token({}), keys.refresh_token("a@example.com"), keys.download_token("file", 0)):
        assert keys.read_access_token(f"ya29.{other}") is None


def test_tokens_are_unique(keys: Keys) -> None:
    assert len({keys.access_token("user:a@example.com", frozenset(), 60) for _ in range(10)}) == 10


def test_federated_identity_is_a_member_of_its_principal_sets() -> None:
    who = identity(f"principal://{POOL}/subject/s", frozenset(), {"attribute.ref": "main", "google.groups": ["team"]})
    assert who.federated
    assert who.members >= {
        f"principal://{POOL}/subject/s",
        f"principalSet://{POOL}/*",
        f"principalSet://{POOL}/attribute.ref/main",
        f"principalSet://{POOL}/group/team",
        "allUsers",
    }


def test_key_is_a_service_account_key(keys: Keys) -> None:
    key = keys.account_key(PUBLISHER)
    assert key["type"] == "service_account"
    assert key["client_email"] == PUBLISHER
    assert key["token_uri"] == "https://oauth2.googleapis.com/token"
    assert keys.account_key(PUBLISHER) == key
    assertion = jwt.encode({"iss": PUBLISHER}, key["private_key"], "RS256")
    jwt.decode(assertion, keys.verifying_key(PUBLISHER), ["RS256"])


def test_only_the_owner_can_read_keys(keys: Keys) -> None:
    keys.account_key(PUBLISHER)
    files = [*keys.account_key_file(PUBLISHER).parent.iterdir()]
    assert len(files) == 3
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_request_token_contains_the_jobs_claims(keys: Keys) -> None:
    assert keys.read_request_token(keys.request_token({"repository": "a/b"})) == {"repository": "a/b"}
    assert keys.read_request_token("nonsense") is None


@pytest.mark.parametrize(
    ("value", "pair"),
    [
        (base64.b64encode(b"user:pass:word").decode(), ("user", "pass:word")),
        (base64.b64encode(b"\xff").decode(), ("", "")),
        ("not base64!", ("", "")),
    ],
)
def test_basic_credentials(value: str, pair: tuple[str, str]) -> None:
    assert decode_basic(value) == pair
