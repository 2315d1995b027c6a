from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
import requests

from gar_publish.auth.http_auth import HostAuth, with_renewal
from gar_publish.auth.tokens import FreshSource, GivenSource, Token
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


class TestWithRenewal:
    @pytest.fixture
    def source(self) -> FreshSource:
        numbers = count(1)
        return FreshSource("test", lambda _: Token(f"token-{next(numbers)}", None))

    @pytest.fixture
    def ask(self, server: ScriptedServer, session: requests.Session, source: FreshSource) -> Callable[[], int]:
        auth = HostAuth(server.url, source)
        return lambda: with_renewal(lambda: session.get(server.url, auth=auth), source).status_code

    @pytest.mark.parametrize("status", [200, 403])
    def test_other_answers_are_final(self, status: int, server: ScriptedServer, ask: Callable[[], int]) -> None:
        server.on("/", Reply(status))
        assert ask() == status
        assert len(server.seen) == 1

    @pytest.mark.parametrize("status", [200, 401])
    def test_another_token_is_tried_once(self, status: int, server: ScriptedServer, ask: Callable[[], int]) -> None:
        server.on("/", Reply(401), Reply(status))
        assert ask() == status
        assert [each.headers["Authorization"] for each in server.seen] == [basic("token-1"), basic("token-2")]

    def test_the_same_token_is_not_tried_again(self, server: ScriptedServer, session: requests.Session) -> None:
        server.on("/", Reply(401))
        source = GivenSource("given")
        auth = HostAuth(server.url, source)
        assert with_renewal(lambda: session.get(server.url, auth=auth), source).status_code == 401
        assert len(server.seen) == 1

    def test_a_bearer_token_is_renewed_as_well(
        self, server: ScriptedServer, session: requests.Session, source: FreshSource
    ) -> None:
        server.on("/", Reply(401), Reply(200))

        def call() -> requests.Response:
            return session.get(server.url, headers={"Authorization": f"Bearer {source.token().value}"})

        assert with_renewal(call, source).status_code == 200
        assert [each.headers["Authorization"] for each in server.seen] == ["Bearer token-1", "Bearer token-2"]

    def test_threads_share_one_renewal(
        self, server: ScriptedServer, source: FreshSource, ask: Callable[[], int]
    ) -> None:
        stale = basic(source.token().value)
        server.on("/", lambda seen: Reply(401 if seen.headers["Authorization"] == stale else 200))
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(lambda _: ask(), range(8))) == [200] * 8
        assert source.token().value == "token-2"
