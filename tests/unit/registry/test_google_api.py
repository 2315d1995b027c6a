import json
from typing import Any

import pytest
import requests

from gar_publish.auth.tokens import FreshSource, GivenSource, Token
from gar_publish.context import Context
from gar_publish.errors import RegistryRefused
from gar_publish.registry.google_api import GoogleApi, said, why_failed
from tests.unit.servers import Memory, Reply, ScriptedServer, Time


@pytest.fixture
def api(context: Context, session: requests.Session) -> GoogleApi:
    return GoogleApi(context, session, GivenSource("ya29.given"))


def test_a_call(api: GoogleApi, server: ScriptedServer) -> None:
    server.on("/", Reply(200, "{}"))
    api.call("POST", f"{server.url}/v1/x", what="ask", headers={"X-Name": "value"}, params={"a": "b"}, json={"c": 1})
    (seen,) = server.seen
    assert (seen.method, seen.path, json.loads(seen.body)) == ("POST", "/v1/x?a=b", {"c": 1})
    assert (seen.headers["Authorization"], seen.headers["X-Name"]) == ("Bearer ya29.given", "value")
    assert "x-goog-user-project" not in seen.headers


def test_the_quota_project_of_a_token(context: Context, session: requests.Session, server: ScriptedServer) -> None:
    server.on("/", Reply(200, "{}"))
    source = FreshSource("login", lambda _: Token("ya29.user", None, quota_project="my-project"))
    GoogleApi(context, session, source).call("GET", server.url, what="ask")
    assert server.seen[0].headers["x-goog-user-project"] == "my-project"


@pytest.mark.parametrize("status", [302, 403, 404, 409])
def test_a_refusal_is_returned(status: int, api: GoogleApi, server: ScriptedServer) -> None:
    server.on("/", Reply(status, "<html>no", headers={"Location": "/elsewhere"}))
    assert api.call("GET", server.url, what="ask").status_code == status
    assert len(server.seen) == 1


@pytest.mark.parametrize("body", ["", "<html>Log in", "[]", "5", "[" * 100_000])
def test_an_answer_must_be_an_object(body: str, api: GoogleApi, server: ScriptedServer) -> None:
    server.on("/", Reply(200, body))
    with pytest.raises(RegistryRefused) as caught:
        api.call("GET", server.url, what="ask")
    failure = caught.value
    assert (failure.what, failure.cause, failure.fix, failure.anchor) == (
        "Google's API answered, but not with a JSON object.",
        "a proxy or a login page answered in place of the API",
        "call the API with gcloud, and compare\n  gcloud artifacts repositories list --project=PROJECT",
        "not-an-api",
    )
    assert len(server.seen) == 3


def test_wait_for(api: GoogleApi, server: ScriptedServer, time: Time, console: Memory) -> None:
    running, done = {"name": "operations/1"}, {"name": "operations/1", "done": True}
    server.on("/v1/operations/1", Reply(200, json.dumps(running)), Reply(200, json.dumps(done)))
    assert api.wait_for(done, f"{server.url}/v1", what="us/p/r is being created") == done
    assert server.seen == []
    assert api.wait_for(running, f"{server.url}/v1", what="us/p/r is being created") == done
    assert time.slept == [0.5, 1]
    assert console.said[0] == "us/p/r is being created; trying again in 0.5 s"
    server.on("/v1/operations/1", Reply(200, json.dumps(running)))
    assert api.wait_for(running, f"{server.url}/v1", what="x") == running
    assert sum(time.slept) == 62


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        ({"done": True, "response": {}}, None),
        ({"done": True, "error": {"code": 7, "message": "No ya29.secret."}}, "No [hidden]"),
        ({"error": {}}, ""),
        ({"error": "no"}, "no"),
        ({"name": "x"}, "the operation did not end in a minute"),
    ],
)
def test_why_failed(operation: dict[str, Any], why: str | None) -> None:
    assert why_failed(operation) == why


@pytest.mark.parametrize(
    ("body", "text"),
    [('{"error": {"message": "No."}}', "No."), ('{"error": "No."}', '{"error": "No."}'), ("[]", "[]"), ("No.", "No.")],
)
def test_said(body: str, text: str, session: requests.Session, server: ScriptedServer) -> None:
    server.on("/", Reply(403, body))
    assert said(session.get(server.url)) == text
