import json
import socket

import pytest

from gar_publish.doctor import Diagnosis, Link
from gar_publish.settings.credential import parse_key
from gar_publish.settings.endpoints import Endpoints
from tests.unit.doctor.conftest import PROVIDER, Examine
from tests.unit.servers import Reply, ScriptedServer

KEY = json.dumps(
    {
        "type": "service_account",
        "client_email": "a@p.iam.gserviceaccount.com",
        "private_key": "x",
        "private_key_id": "1",
    }
)


def link(found: Diagnosis, name: str) -> Link:
    return next(each for each in found.links if each.name == name)


def test_any_answer_proves_that_a_host_is_reached(look: Examine, server: ScriptedServer) -> None:
    server.on("/artifactregistry.googleapis.com/", Reply(503))
    network = link(look(), "network")
    assert network.state == "ok"
    assert network.facts == (
        "us-central1-python.pkg.dev: reachable",
        "artifactregistry.googleapis.com: reachable",
    )


def test_publishing_works_without_the_api(look: Examine, server: ScriptedServer) -> None:
    server.on("/artifactregistry.googleapis.com/", Reply(drop=True))
    network = link(look(), "network")
    assert network.state == "ok"
    assert "artifactregistry.googleapis.com: does not answer; publishing works without it" in network.facts


def test_a_host_that_closes_the_connection_is_broken(look: Examine, server: ScriptedServer) -> None:
    server.on("/us-central1-python.pkg.dev/", Reply(drop=True))
    found = look()
    assert found.broken == link(found, "network")
    assert found.exit_code == 7


def test_names_a_host_that_cannot_be_resolved(look: Examine) -> None:
    def resolve(_: str) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    found = look(endpoints=Endpoints("http://nowhere.invalid"), resolve=resolve)
    assert found.broken
    assert found.broken.failure
    assert (found.broken.failure.anchor, found.exit_code) == ("no-address", 7)
    assert found.broken.failure.what == "The host name nowhere.invalid cannot be resolved."


def test_a_variable_that_names_a_missing_file_of_certificates(look: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", "/gone.pem")
    found = look()
    assert found.broken == link(found, "network")
    assert found.broken.failure
    assert found.broken.failure.what == "SSL_CERT_FILE names /gone.pem, which does not exist."


def test_shows_a_proxy_without_its_password(
    look: Examine, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.on("us-central1-python.pkg.dev:443", Reply(407))
    server.on("artifactregistry.googleapis.com:443", Reply(407))
    proxy = server.url.replace("://", "://user:made-up-password@")
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, proxy)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    found = look(environment={"HTTPS_PROXY": proxy, "NO_PROXY": "localhost"}, endpoints=Endpoints())
    assert found.broken
    assert found.broken.failure
    assert found.broken.failure.anchor == "proxy-login"
    assert found.broken.facts[:2] == (f"HTTPS_PROXY {server.url}", "NO_PROXY localhost")


@pytest.mark.parametrize("proxy", ["http://me:made/up@127.0.0.1:9", "me:made-up@127.0.0.1:9"])
def test_shows_a_malformed_proxy_without_its_password(look: Examine, proxy: str) -> None:
    assert link(look(environment={"HTTPS_PROXY": proxy}), "network").facts[0] == "HTTPS_PROXY http://127.0.0.1:9"


def test_a_malformed_url_is_a_failure(look: Examine) -> None:
    job = {"ACTIONS_ID_TOKEN_REQUEST_URL": "http://[", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "x", "HTTPS_PROXY": "http://["}
    found = look({"access-token": "", "workload-identity-provider": PROVIDER}, job)
    assert found.broken == link(found, "network")
    assert found.broken.failure
    assert found.broken.failure.anchor == "request-impossible"


@pytest.mark.parametrize(
    ("date", "fact"),
    [
        ("Wed, 25 Nov 2026 12:00:10 GMT", "within 11 s of us-central1-python.pkg.dev"),
        ("Wed, 25 Nov 2026 12:02:00 GMT", "120 s behind us-central1-python.pkg.dev"),
        ("Wed, 25 Nov 2026 11:50:00 GMT", "600 s ahead of us-central1-python.pkg.dev"),
    ],
)
def test_compares_the_clocks(look: Examine, server: ScriptedServer, date: str, fact: str) -> None:
    server.on("/", Reply(404, headers={"Date": date}))
    clock = link(look(), "clock")
    assert clock.state == "ok", "a given token needs no clock"
    assert clock.facts[0] == fact


def test_a_key_needs_a_correct_clock(look: Examine, server: ScriptedServer) -> None:
    assert parse_key(KEY)
    server.on("/", Reply(404, headers={"Date": "Wed, 25 Nov 2026 12:06:00 GMT"}))
    found = look({"access-token": "", "credentials-json": KEY})
    assert found.broken == link(found, "clock")
    assert found.exit_code == 3


@pytest.mark.parametrize(
    "headers", [{}, {"Date": "yesterday"}, {"Date": "Wed, 25 Nov 2026 10:00:00 GMT", "Age": "7200"}]
)
def test_an_answer_may_have_no_usable_time(look: Examine, server: ScriptedServer, headers: dict[str, str]) -> None:
    server.on("/", Reply(404, headers=headers))
    assert link(look(), "clock").state == "not checked"
