import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest
import requests
from google.auth.exceptions import GoogleAuthError

from gar_publish.auth.exchange import Exchange, new_token, refresh
from gar_publish.errors import BadInput, CredentialsFailure
from gar_publish.settings.endpoints import Endpoints
from tests.unit.auth.conftest import elsewhere, parts
from tests.unit.servers import Memory, Reply, ScriptedServer, Time

STS = "https://sts.googleapis.com/v1/token"
GOOD = Reply(200, json.dumps({"access_token": "tok-1"}))


def test_requests_to_google_go_to_the_emulator(exchange: Exchange, server: ScriptedServer) -> None:
    server.on("/", GOOD)
    exchange(f"{STS}?a=b", "POST", b"x=y")
    exchange(f"{server.url}/oauth2.googleapis.com/token", "POST")
    assert [each.path for each in server.seen] == [
        "/sts.googleapis.com/v1/token?a=b",
        "/oauth2.googleapis.com/token",
    ]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_retried(status: int, exchange: Exchange, server: ScriptedServer, console: Memory) -> None:
    server.on("/sts.", Reply(status), GOOD)
    assert exchange(STS, "POST").status == 200
    assert len(server.seen) == 2
    assert "to get a token from sts.googleapis.com" in console.said[0]


@pytest.mark.parametrize(
    "fault", [Reply(200, "<html>Log in"), Reply(200, "[]"), Reply(200, '{"a', cut=5), Reply(drop=True)]
)
def test_broken_answers_are_retried(fault: Reply, exchange: Exchange, server: ScriptedServer) -> None:
    server.on("/sts.", fault, GOOD)
    assert exchange(STS, "POST").status == 200
    assert len(server.seen) == 2


def test_an_answer_that_is_never_proper(exchange: Exchange, server: ScriptedServer, time: Time) -> None:
    server.on("/sts.", Reply(200, "<html>Log in"))
    with pytest.raises(CredentialsFailure) as caught:
        exchange(STS, "POST")
    assert parts(caught.value) == (
        "A token service returned no token.",
        "a proxy changes answers, or this identity may not have this scope",
        "run the same command again; if the answer stays the same, pass a token as `access-token`",
        "strange-token",
    )
    assert caught.value.detail == ""
    assert len(time.slept) == 2


def test_refusals_are_not_retried(exchange: Exchange, server: ScriptedServer) -> None:
    server.on("/sts.", Reply(400, '{"error": "invalid_grant"}'))
    with pytest.raises(CredentialsFailure, match="HTTP 400"):
        exchange(STS, "POST")
    assert len(server.seen) == 1


def test_redirects_are_not_followed(exchange: Exchange, server: ScriptedServer) -> None:
    server.on("/sts.", Reply(307, headers={"Location": f"{server.url}/elsewhere"}))
    with pytest.raises(CredentialsFailure, match="HTTP 307"):
        exchange(STS, "POST", b"subject_token=x")
    assert not server.asked("/elsewhere")


@pytest.mark.parametrize("name", ["access_token", "accessToken", "id_token"])
def test_tokens_in_answers_are_masked(name: str, exchange: Exchange, server: ScriptedServer, console: Memory) -> None:
    server.on("/sts.", Reply(200, json.dumps({name: "tok-1", "token_type": "Bearer", "expires_in": 60})))
    answer = exchange(STS, "POST")
    assert console.masked == ["tok-1"]
    assert "tok-1" not in repr(answer)


def test_without_an_emulator_urls_stay(exchange: Exchange, server: ScriptedServer) -> None:
    real = elsewhere(exchange, endpoints=Endpoints())
    server.on("/x", GOOD)
    answer = real(f"{server.url}/x", "POST", b"body", {"X-Name": "value"})
    assert (answer.status, answer.data) == (200, b'{"access_token": "tok-1"}')
    assert answer.headers["Content-Length"] == "25"
    (seen,) = server.seen
    assert (seen.method, seen.body, seen.headers["X-Name"]) == ("POST", b"body", "value")
    assert json.loads(answer.data) == real.json("GET", f"{server.url}/x", headers={"X-Name": "other"})
    assert (server.seen[1].method, server.seen[1].headers["X-Name"]) == ("GET", "other")


def test_answers_may_take_half_a_minute(exchange: Exchange) -> None:
    asked: list[object] = []

    class Session:
        def request(self, *_: object, timeout: object, **__: object) -> requests.Response:
            asked.append(timeout)
            raise requests.RequestException

    for timeouts in ((10.0, 90.0), (5.0, 10.0)):
        policy = replace(exchange.context.retry_policy, timeouts=timeouts)
        with pytest.raises(BadInput):
            elsewhere(replace(exchange, session=cast("Any", Session())), retry_policy=policy)(STS, "POST")
    assert asked == [(10.0, 30.0), (5.0, 10.0)]


NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(("value", "expires_at"), [(5, NOW), ("", NOW), (None, NOW), ("tok", None)])
def test_a_token_is_text_with_an_end(value: object, expires_at: datetime | None) -> None:
    with pytest.raises(ValueError, match="no token"):
        new_token(value, expires_at)


def test_times_keep_their_zone() -> None:
    assert new_token("tok", NOW).expires_at is NOW


UNCLEAR = GoogleAuthError("No access token.", {"id_token": "tok-1"})


class Credentials:
    """As google-auth's: `refresh` sets `token` and `expiry`, a naive UTC time."""

    def __init__(self, token: object, expiry: datetime | None, error: Exception | None = None) -> None:
        self.token, self.expiry, self.error = token, expiry, error

    def refresh(self, _: object) -> None:
        if self.error:
            raise self.error


def test_refresh_gives_aware_times(exchange: Exchange) -> None:
    token = refresh(Credentials("tok", datetime(2026, 11, 22, 12)), exchange)  # noqa: DTZ001 - google-auth's are naive
    assert token.expires_at == datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "credentials",
    [
        Credentials(None, datetime(2026, 11, 22)),  # noqa: DTZ001 - google-auth's are naive
        Credentials("", datetime(2026, 11, 22)),  # noqa: DTZ001 - google-auth's are naive
        Credentials("tok-1", None),
        Credentials("tok-1", None, UNCLEAR),
        Credentials("tok-1", None, TypeError("expires_in is None: tok-1")),
    ],
)
def test_answers_that_google_auth_cannot_read(credentials: Credentials, exchange: Exchange) -> None:
    with pytest.raises(CredentialsFailure) as caught:
        refresh(credentials, exchange)
    assert caught.value.anchor == "strange-token"
    assert caught.value.detail == ("No access token." if credentials.error is UNCLEAR else "")
    assert caught.value.__context__ is None or caught.value.__suppress_context__, "a traceback would show the answer"
    assert "tok-1" not in caught.value.explain()
