import json

import jwt
import pytest

from gar_publish.auth import service_account_key
from gar_publish.auth.exchange import Exchange
from gar_publish.auth.tokens import PUBLISH_SCOPE, READ_ONLY_SCOPE
from gar_publish.auth.workload_identity import unverified_claims
from gar_publish.errors import BadInput, CredentialsFailure
from gar_publish.settings.credential import WHOLE_FILE, Key
from tests.unit.auth.conftest import Keys, parts
from tests.unit.servers import Memory, Reply, ScriptedServer


def test_the_assertion_goes_to_google_only(
    key_info: dict[str, str], keys: Keys, exchange: Exchange, server: ScriptedServer, console: Memory
) -> None:
    server.on("/oauth2.googleapis.com/token", Reply(200, '{"access_token": "tok-1", "expires_in": 3599}'))
    token = service_account_key.KeyIdentity(Key(key_info), exchange).fetch(READ_ONLY_SCOPE)
    assert token.value == "tok-1"
    assert token.expires_at
    assert console.masked == ["tok-1"]
    (seen,) = server.seen
    assert seen.form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    claims = jwt.decode(
        seen.form["assertion"][0],
        keys.public,
        algorithms=["RS256"],
        audience="https://oauth2.googleapis.com/token",
        issuer=key_info["client_email"],
    )
    assert claims["scope"] == READ_ONLY_SCOPE
    assert jwt.get_unverified_header(seen.form["assertion"][0])["kid"] == "0123abcd"


def test_retried(key_info: dict[str, str], exchange: Exchange, server: ScriptedServer) -> None:
    server.on("/oauth2.", Reply(502), Reply(500), Reply(200, '{"access_token": "tok-1", "expires_in": 3599}'))
    assert service_account_key.KeyIdentity(Key(key_info), exchange).fetch(READ_ONLY_SCOPE).value == "tok-1"
    assert len(server.seen) == 3


def test_deleted_key(key_info: dict[str, str], exchange: Exchange, server: ScriptedServer) -> None:
    server.on(
        "/oauth2.",
        Reply(400, json.dumps({"error": "invalid_grant", "error_description": "Invalid JWT Signature."})),
    )
    with pytest.raises(CredentialsFailure) as caught:
        service_account_key.KeyIdentity(Key(key_info), exchange).fetch(READ_ONLY_SCOPE)
    assert caught.value.anchor == "key-deleted"
    assert "--iam-account=publisher@demo-project.iam.gserviceaccount.com" in caught.value.fix
    assert key_info["private_key"][40:80] not in caught.value.explain()
    assert len(server.seen) == 1


def test_scope_that_gives_no_access_token(
    key_info: dict[str, str], exchange: Exchange, server: ScriptedServer, console: Memory
) -> None:
    server.on("/oauth2.", Reply(200, '{"id_token": "id-1"}'))
    with pytest.raises(CredentialsFailure) as caught:
        service_account_key.KeyIdentity(Key(key_info), exchange).fetch("https://www.googleapis.com/auth/unknown")
    assert caught.value.anchor == "strange-token"
    assert "id-1" not in caught.value.explain()
    assert console.masked == ["id-1"]


@pytest.mark.parametrize("broken", ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_broken_private_key(
    broken: str, key_info: dict[str, str], exchange: Exchange, server: ScriptedServer
) -> None:
    with pytest.raises(BadInput) as caught:
        service_account_key.KeyIdentity(Key({**key_info, "private_key": broken}), exchange).fetch(READ_ONLY_SCOPE)
    assert parts(caught.value) == (
        "The private key 0123abcd of publisher@demo-project.iam.gserviceaccount.com cannot be read.",
        "the key was truncated, or its line breaks were lost when it was pasted",
        WHOLE_FILE,
        "key-format",
    )
    assert "AAAA" not in caught.value.explain()
    assert not server.seen


def test_the_key_is_read_once(key_info: dict[str, str], exchange: Exchange, server: ScriptedServer) -> None:
    server.on("/oauth2.", Reply(200, '{"access_token": "tok-1", "expires_in": 3599}'))
    keyed = service_account_key.KeyIdentity(Key(key_info), exchange)
    keyed.fetch(PUBLISH_SCOPE)
    key_info["private_key"] = "not read again"
    keyed.fetch(READ_ONLY_SCOPE)
    scopes = [unverified_claims(seen.form["assertion"][0])["scope"] for seen in server.seen]
    assert scopes == [PUBLISH_SCOPE, READ_ONLY_SCOPE]
