import subprocess
import sys
from dataclasses import replace
from functools import partial

import pytest

from gar_publish.auth.exchange import Exchange
from gar_publish.auth.sources import open_source
from gar_publish.auth.tokens import TokenSource
from gar_publish.errors import CredentialsFailure
from gar_publish.settings.credential import Ambient, Credential, Federation, GivenToken, Key, KeyPassword
from tests.unit.auth.test_workload_identity import GOOD, PROVIDER
from tests.unit.servers import Memory, Reply, ScriptedServer


@pytest.fixture
def opened(exchange: Exchange) -> partial[TokenSource]:
    return partial(
        open_source,
        context=replace(exchange.context, environment={"NO_GCE_CHECK": "true"}),
        session=exchange.session,
    )


def test_given_token(opened: partial[TokenSource], console: Memory, server: ScriptedServer) -> None:
    source = opened(GivenToken("given"))
    assert source.token().value == "given"
    assert source.token().expires_at is None
    assert source.read_only() is None
    assert console.masked == ["given"]
    assert not server.seen


def test_key_as_the_password(opened: partial[TokenSource], console: Memory, server: ScriptedServer) -> None:
    token = opened(KeyPassword("bWFkZS11cA==")).token()
    assert (token.user, token.value, token.expires_at) == ("_json_key_base64", "bWFkZS11cA==", None)
    assert console.masked == ["bWFkZS11cA=="]
    assert not server.seen


def test_key(opened: partial[TokenSource], key_info: dict[str, str], server: ScriptedServer) -> None:
    server.on("/oauth2.", Reply(200, '{"access_token": "tok-1", "expires_in": 3599}'))
    source = opened(Key(key_info))
    assert source.kind == "service-account key"
    assert not server.seen
    assert source.token() is source.token()
    assert len(server.seen) == 1


def test_federation(opened: partial[TokenSource], console: Memory, server: ScriptedServer) -> None:
    for start, reply in GOOD.items():
        server.on(start, reply)
    asked = Federation(PROVIDER, None, f"{server.url}/github/idtoken?api-version=2.0", "request-token")
    source = opened(asked)
    assert source.kind == "workload identity"
    assert console.masked == ["request-token"]
    assert source.token().value == "federated"
    reader = source.read_only()
    assert reader
    reader.token()
    assert server.asked("/sts.")[1].form["scope"] == ["https://www.googleapis.com/auth/cloud-platform.read-only"]
    assert len(server.asked("/github/")) == 1


def test_nothing_ambient(opened: partial[TokenSource]) -> None:
    with pytest.raises(CredentialsFailure) as caught:
        opened(Ambient())
    assert caught.value.anchor == "no-credentials"


@pytest.mark.parametrize(
    "credential",
    [
        GivenToken("open-sesame"),
        Key({"private_key": "open-sesame", "client_email": "x@y.z"}),
        Federation(PROVIDER, None, "https://github.example/", "open-sesame"),
    ],
    ids=lambda credential: type(credential).__name__,
)
def test_nothing_shows_a_secret(credential: Credential, opened: partial[TokenSource]) -> None:
    source = opened(credential)
    assert "open-sesame" not in f"{credential} {source!r} {vars(source)!r}"


def test_given_token_imports_no_google_auth() -> None:
    program = (
        "import sys\n"
        "from gar_publish.auth.sources import open_source\n"
        "from gar_publish.settings.credential import GivenToken\n"
        "class Context:\n"
        "    class console: mask = print\n"
        "open_source(GivenToken('x'), Context, None)\n"
        "found = [name for name in sys.modules if name.split('.')[0] in {'google', 'cryptography'}]\n"
        "sys.exit(str(found) if found else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_each_kind_is_replaced_in_time(opened: partial[TokenSource], server: ScriptedServer) -> None:
    for start, reply in GOOD.items():
        server.on(start, reply)
    server.on("/sts.googleapis.com/", Reply(200, '{"access_token": "short", "expires_in": 0}'))
    asked = Federation(PROVIDER, None, f"{server.url}/github/idtoken", "request-token")
    source = opened(asked)
    source.token()
    source.token()
    assert len(server.asked("/sts.")) == 2
    server.on("/iamcredentials.googleapis.com/", Reply(200, '{"accessToken": "x", "expireTime": "soon"}'))
    with pytest.raises(CredentialsFailure, match="returned no token"):
        opened(replace(asked, service_account="a@b.iam.gserviceaccount.com")).token()
