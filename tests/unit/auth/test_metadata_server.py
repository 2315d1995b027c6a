import errno
import os
from datetime import UTC, datetime

import pytest
import requests

from gar_publish.auth import metadata_server
from gar_publish.auth.exchange import Exchange
from gar_publish.auth.tokens import PUBLISH_SCOPE, READ_ONLY_SCOPE
from gar_publish.errors import CredentialsFailure, Unreachable
from tests.unit.auth.conftest import elsewhere, parts
from tests.unit.servers import Memory, Reply, ScriptedServer, Seen

GOOGLE = {"Metadata-Flavor": "Google"}
PATH = "/computeMetadata/v1/instance/service-accounts/default/token"


def host(server: ScriptedServer) -> dict[str, str]:
    return {"GCE_METADATA_HOST": server.url.removeprefix("http://")}


def test_found(real: Exchange, server: ScriptedServer) -> None:
    server.on("/", Reply(200, headers=GOOGLE))
    assert metadata_server.find(elsewhere(real, environment=host(server))) == server.url
    assert server.seen[0].headers["Metadata-Flavor"] == "Google"


def test_found_at_the_emulator(exchange: Exchange, server: ScriptedServer) -> None:
    server.on("/", Reply(200, headers=GOOGLE))
    assert metadata_server.find(elsewhere(exchange, environment={})) == server.url


def test_found_past_any_proxy(real: Exchange, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("all_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    seen: dict[str, object] = {}

    class Adapter(requests.adapters.HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *_: object, **options: object) -> requests.Response:
            seen.update(options)
            raise requests.ConnectionError(request=request)

    real.session.mount("http://169.254.169.254", Adapter())
    assert metadata_server.find(elsewhere(real, environment={})) is None
    assert not seen["proxies"]
    assert not server.seen


def test_found_by_its_refusals(real: Exchange, server: ScriptedServer) -> None:
    server.on("/", Reply(503, headers=GOOGLE))
    assert metadata_server.find(elsewhere(real, environment=host(server))) == server.url


def test_another_clouds_metadata_server(real: Exchange, server: ScriptedServer) -> None:
    server.on("/", Reply(200, "Azure"))
    assert metadata_server.find(elsewhere(real, environment=host(server))) is None


def test_a_closed_port(real: Exchange) -> None:
    assert metadata_server.find(elsewhere(real, environment={"GCE_METADATA_HOST": "127.0.0.1:1"})) is None


@pytest.mark.parametrize("number", [errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ETIMEDOUT])
def test_an_unreachable_network(real: Exchange, console: Memory, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def connect(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number)) if number != errno.ETIMEDOUT else TimeoutError

    monkeypatch.setattr("urllib3.util.connection.create_connection", connect)
    assert metadata_server.find(elsewhere(real, environment={})) is None
    assert console.said == []


def test_found_after_faults(real: Exchange, server: ScriptedServer) -> None:
    server.on("/", Reply(503), Reply(drop=True), Reply(429), Reply(500), Reply(drop=True), Reply(200, headers=GOOGLE))
    assert metadata_server.find(elsewhere(real, environment=host(server))) == server.url


def test_no_gce_check(real: Exchange, server: ScriptedServer) -> None:
    assert metadata_server.find(elsewhere(real, environment={**host(server), "NO_GCE_CHECK": "True"})) is None
    assert not server.seen


def test_token(real: Exchange, server: ScriptedServer, console: Memory) -> None:
    server.on(PATH, Reply(503), Reply(200, '{"access_token": "tok-1", "expires_in": 3599}'))
    token = metadata_server.fetch(server.url, real, PUBLISH_SCOPE)
    assert token.value == "tok-1"
    assert token.expires_at
    assert 3500 < (token.expires_at - datetime.now(UTC)).total_seconds() < 3600
    assert server.seen[-1].query == {"scopes": [PUBLISH_SCOPE]}
    assert server.seen[-1].headers["Metadata-Flavor"] == "Google"
    assert console.masked == ["tok-1"]


def test_no_account(real: Exchange, server: ScriptedServer) -> None:
    server.on(PATH, Reply(404, "not found"))
    with pytest.raises(CredentialsFailure) as caught:
        metadata_server.fetch(server.url, real, PUBLISH_SCOPE)
    assert caught.value.anchor == "metadata-account"


@pytest.mark.parametrize(
    "answer",
    [
        "{}",
        '{"access_token": "tok-1"}',
        '{"access_token": "tok-1", "expires_in": 0}',
        '{"access_token": "tok-1", "expires_in": 604800}',
        '{"access_token": 5, "expires_in": 5}',
    ],
)
def test_an_answer_without_a_token(answer: str, real: Exchange, server: ScriptedServer) -> None:
    server.on(PATH, Reply(200, answer))
    with pytest.raises(CredentialsFailure) as caught:
        metadata_server.fetch(server.url, real, PUBLISH_SCOPE)
    assert parts(caught.value) == (
        "The metadata server returned no token.",
        "this machine has no service account",
        "attach a service account to this machine",
        "metadata-account",
    )
    assert "tok-1" not in caught.value.explain()


def test_no_answer(real: Exchange) -> None:
    with pytest.raises(Unreachable):
        metadata_server.fetch("http://127.0.0.1:1", real, PUBLISH_SCOPE)


class TestReadOnly:
    def source(self, exchange: Exchange, server: ScriptedServer) -> metadata_server.MetadataSource:
        return metadata_server.MetadataSource(
            "metadata server", lambda scope: metadata_server.fetch(server.url, exchange, scope)
        )

    def test_scopes_are_respected(self, real: Exchange, server: ScriptedServer) -> None:
        def answer(seen: Seen) -> Reply:
            narrow = seen.query["scopes"] == [READ_ONLY_SCOPE]
            return Reply(200, f'{{"access_token": "{"narrow" if narrow else "wide"}", "expires_in": 3599}}')

        server.on(PATH, answer)
        narrow = self.source(real, server).read_only()
        assert narrow
        assert narrow.token().value == "narrow"

    def test_scopes_are_ignored(self, real: Exchange, server: ScriptedServer) -> None:
        server.on(PATH, Reply(200, '{"access_token": "wide", "expires_in": 3599}'))
        assert self.source(real, server).read_only() is None
