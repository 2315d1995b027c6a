from collections.abc import Iterator

import pytest
import requests

from gar_publish.auth.http_auth import HostAuth, refused_token
from gar_publish.errors import BadInput
from gar_publish.urls import refuse_plain_http
from tests.unit.servers import Counting, Reply, ScriptedServer, basic, serve


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with serve() as server:
        yield server


@pytest.fixture
def other() -> Iterator[ScriptedServer]:
    with serve() as server:
        yield server


class TestHostAuth:
    def test_current_token_for_each_request(self, server: ScriptedServer, session: requests.Session) -> None:
        session.auth = HostAuth(f"{server.url}/project/repository/", Counting())
        session.get(f"{server.url}/a")
        session.post(f"{server.url}/b", data=b"x")
        assert [each.headers["Authorization"] for each in server.seen] == [
            basic("token-1"),
            basic("token-2"),
        ]

    def test_no_other_port(self, server: ScriptedServer, other: ScriptedServer, session: requests.Session) -> None:
        session.get(other.url, auth=HostAuth(server.url, Counting()))
        assert other.seen[0].headers["Authorization"] is None

    @pytest.mark.parametrize(
        "url",
        ["http://registry.example/", "https://registry.example.org/", "https://registry.example:444/"],
    )
    def test_no_other_host(self, url: str) -> None:
        auth = HostAuth("https://registry.example/simple/", Counting())
        assert "Authorization" not in auth(requests.Request("GET", url).prepare()).headers

    def test_default_port_is_the_same_host(self) -> None:
        auth = HostAuth("https://registry.example/simple/", Counting())
        request = auth(requests.Request("GET", "https://Registry.example:443/").prepare())
        assert request.headers["Authorization"] == basic("token-1")

    def test_redirect_elsewhere_carries_nothing(
        self, server: ScriptedServer, other: ScriptedServer, session: requests.Session
    ) -> None:
        server.on("/", Reply(302, headers={"Location": f"{other.url}/there"}))
        session.get(server.url, auth=HostAuth(server.url, Counting()))
        assert server.seen[0].headers["Authorization"] == basic("token-1")
        assert other.seen[0].headers["Authorization"] is None

    def test_redirect_within_the_host_keeps_it(self, server: ScriptedServer, session: requests.Session) -> None:
        server.on("/simple/hello", Reply(301, headers={"Location": "/simple/hello/"}), Reply(200))
        session.get(f"{server.url}/simple/hello", auth=HostAuth(server.url, Counting()))
        assert server.seen[1].path == "/simple/hello/"
        assert server.seen[1].headers["Authorization"] == basic("token-1")

    def test_refused_token(self, server: ScriptedServer, session: requests.Session) -> None:
        server.on("/", Reply(401))
        assert refused_token(session.get(server.url, auth=HostAuth(server.url, Counting()))) == "token-1"
        assert refused_token(session.get(server.url, headers={"Authorization": "Bearer abc"})) == "abc"


class TestPlainHttp:
    @pytest.mark.parametrize(
        "url",
        [
            "https://us-central1-python.pkg.dev/p/r/",
            "http://localhost:8080/",
            "http://127.0.0.1/",
            "http://127.8.9.1:1/",
            "http://[::1]:8080/",
            "http://emulator:8085/x",
        ],
    )
    def test_fine(self, url: str) -> None:
        refuse_plain_http(url, "http://emulator:8085")

    @pytest.mark.parametrize(
        "url",
        [
            "http://us-central1-python.pkg.dev/p/r/",
            "http://localhost.evil.example/",
            "http://127.0.0.1.evil.example/",
            "http://me:open-sesame@10.0.0.1/",
            "http://emulator:8086/",
            "ftp://localhost/",
            "localhost:8080",
        ],
    )
    def test_refused(self, url: str) -> None:
        with pytest.raises(BadInput) as caught:
            refuse_plain_http(url, "http://emulator:8085")
        assert caught.value.anchor == "plain-http"
        assert "open-sesame" not in caught.value.explain()
