import base64
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from socket import socket

import pytest
import requests
import trustme

from gar_publish import __version__
from gar_publish.credentials import Token
from gar_publish.errors import BadInput, Unreachable
from gar_publish.http import HostAuth, Patience, new_session, persist, refuse_plain_http, refused_token
from tests.unit.servers import Reply, ScriptedServer, Time, serve


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with serve() as server:
        yield server


@pytest.fixture
def other() -> Iterator[ScriptedServer]:
    with serve() as server:
        yield server


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with new_session() as session:
        yield session


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def patience(time: Time) -> Patience:
    return Patience(sleep=time.sleep, clock=time.clock)


@dataclass
class Counting:
    """A source whose token is another one each time."""

    kind: str = "counting"
    count: int = 0

    def token(self) -> Token:
        self.count += 1
        return Token(f"token-{self.count}", None)

    def renew(self, refused: str) -> Token:
        raise NotImplementedError

    def read_only(self) -> None:
        return None


def basic(token: str) -> str:
    return f"Basic {base64.b64encode(f'oauth2accesstoken:{token}'.encode()).decode()}"


class TestSession:
    def test_says_who_it_is(self, server: ScriptedServer, session: requests.Session) -> None:
        session.get(server.url)
        assert server.seen[0].headers["User-Agent"] == f"gar-publish/{__version__}"

    def test_silent_server_is_given_up(self, session: requests.Session, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("gar_publish.http.TIMEOUTS", (0.2, 0.2))
        with socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            with pytest.raises(requests.Timeout):
                session.get(f"http://127.0.0.1:{silent.getsockname()[1]}/")

    def test_callers_timeout_wins(self, session: requests.Session) -> None:
        with socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            with pytest.raises(requests.Timeout):
                session.get(f"http://127.0.0.1:{silent.getsockname()[1]}/", timeout=0.1)

    def test_netrc_is_ignored(
        self,
        server: ScriptedServer,
        session: requests.Session,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login me password open-sesame\n")
        monkeypatch.setenv("NETRC", str(netrc))
        requests.get(server.url, timeout=5)
        session.get(server.url)
        assert server.seen[0].headers["Authorization"], "the test itself is wrong: netrc is not read at all"
        assert server.seen[1].headers["Authorization"] is None

    def test_netrc_is_ignored_after_a_redirect(
        self,
        server: ScriptedServer,
        other: ScriptedServer,
        session: requests.Session,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login me password open-sesame\n")
        monkeypatch.setenv("NETRC", str(netrc))
        server.on("/", Reply(302, headers={"Location": f"{other.url}/there"}))
        session.get(server.url)
        assert other.seen[0].path == "/there"
        assert other.seen[0].headers["Authorization"] is None

    def test_proxy_of_the_environment(
        self, server: ScriptedServer, session: requests.Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("http_proxy", server.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        server.on("http://registry.invalid/", Reply(200, "through the proxy"))
        assert session.get("http://registry.invalid/").text == "through the proxy"

    def test_loopback_needs_no_proxy(
        self, server: ScriptedServer, session: requests.Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert session.get(server.url).status_code == 404


class TestTrust:
    @pytest.fixture
    def authority(self) -> trustme.CA:
        return trustme.CA()

    @pytest.fixture
    def bundle(self, authority: trustme.CA, tmp_path: Path) -> str:
        path = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(path)
        return str(path)

    @pytest.fixture
    def secure(self, authority: trustme.CA) -> Iterator[ScriptedServer]:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        with serve(context) as server:
            server.on("/", Reply(200, "hello"))
            yield server

    def test_given_authority(self, secure: ScriptedServer, bundle: str) -> None:
        with new_session(trust=bundle) as session:
            assert session.get(secure.url).text == "hello"

    def test_authority_of_the_environment(
        self,
        secure: ScriptedServer,
        bundle: str,
        session: requests.Session,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
        assert session.get(secure.url).text == "hello"

    def test_given_authority_beats_the_environment(
        self, secure: ScriptedServer, bundle: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        stranger = tmp_path / "stranger.pem"
        trustme.CA().cert_pem.write_to_path(stranger)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(stranger))
        with new_session(trust=bundle) as session:
            assert session.get(secure.url).text == "hello"

    def test_unknown_authority_is_not_asked_again(
        self,
        secure: ScriptedServer,
        session: requests.Session,
        patience: Patience,
        time: Time,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
        monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
        with pytest.raises(Unreachable) as caught:
            persist(lambda: session.get(secure.url), patience=patience, what="look", on_wait=print)
        assert caught.value.anchor == "untrusted-certificate"
        assert "REQUESTS_CA_BUNDLE" in caught.value.fix
        assert time.slept == []


class TestPersist:
    @pytest.fixture
    def ask(
        self, server: ScriptedServer, session: requests.Session, patience: Patience
    ) -> Callable[[], requests.Response]:
        return lambda: persist(lambda: session.get(server.url), patience=patience, what="look", on_wait=print)

    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
    def test_transient_status(
        self, status: int, server: ScriptedServer, session: requests.Session, patience: Patience
    ) -> None:
        server.on("/", Reply(status), Reply(status), Reply(200, "at last"))
        waits: list[str] = []
        response = persist(lambda: session.get(server.url), patience=patience, what="look", on_wait=waits.append)
        assert response.text == "at last"
        assert len(waits) == 2
        host = server.url.removeprefix("http://")
        assert waits[0].startswith(f"{host}: HTTP {status}")
        assert waits[0].endswith(" s to look")

    @pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 409, 413, 501])
    def test_final_status(self, status: int, server: ScriptedServer, ask: Callable[[], requests.Response]) -> None:
        server.on("/", Reply(status), Reply(418))
        response = ask()
        assert response.status_code == status

    @pytest.mark.parametrize(
        "fault",
        [
            Reply(drop=True),
            Reply(200, "half", cut=4),
            Reply(200, "no gzip", headers={"Content-Encoding": "gzip"}),
        ],
        ids=["dropped", "cut", "garbled"],
    )
    def test_transient_fault(self, fault: Reply, server: ScriptedServer, ask: Callable[[], requests.Response]) -> None:
        server.on("/", fault, Reply(200, "whole"))
        response = ask()
        assert response.text == "whole"

    def test_nobody_listens(self, session: requests.Session, patience: Patience, time: Time) -> None:
        with pytest.raises(Unreachable) as caught:
            persist(
                lambda: session.get("http://127.0.0.1:1/path?secret=x"),
                patience=patience,
                what="upload hello.whl",
                on_wait=print,
            )
        failure = caught.value
        assert failure.exit_code == 7
        assert failure.what.startswith("Could not upload hello.whl: asked 127.0.0.1:1 6 times in ")
        assert "Connection refused" in failure.detail
        assert "secret" not in failure.explain()
        assert len(time.slept) == 5

    def test_other_exceptions_pass(self, patience: Patience) -> None:
        def call() -> requests.Response:
            raise KeyError("bug")

        with pytest.raises(KeyError):
            persist(call, patience=patience, what="look", on_wait=print)

    def test_waits_double_with_full_jitter(
        self, server: ScriptedServer, session: requests.Session, patience: Patience, time: Time
    ) -> None:
        server.on("/", Reply(503))
        for _ in range(20):
            with pytest.raises(Unreachable):
                persist(
                    lambda: session.get(server.url),
                    patience=replace(patience, tries=7, longest=8.0, total=1e9),
                    what="look",
                    on_wait=lambda _: None,
                )
        rounds = list(zip(*[iter(time.slept)] * 6, strict=True))
        assert len(rounds) == 20
        for bound, waits in zip((1, 2, 4, 8, 8, 8), zip(*rounds, strict=True), strict=True):
            assert max(waits) <= bound
            assert max(waits) > bound / 2, "20 draws over the whole range"
            assert min(waits) < bound / 2, "20 draws over the whole range"

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({"Retry-After": "33"}, 33),
            ({"Retry-After": "100000"}, 60),
            (
                {
                    "Date": "Sun, 22 Nov 2026 12:00:00 GMT",
                    "Retry-After": "Sun, 22 Nov 2026 12:00:44 GMT",
                },
                44,
            ),
        ],
    )
    def test_retry_after(
        self,
        headers: dict[str, str],
        seconds: float,
        server: ScriptedServer,
        ask: Callable[[], requests.Response],
        time: Time,
    ) -> None:
        server.on("/", Reply(429, headers=headers), Reply(200))
        ask()
        assert time.slept == [seconds]

    @pytest.mark.parametrize(
        "headers",
        [
            {"Retry-After": "soon"},
            {"Retry-After": "-5"},
            {"Retry-After": "Sun, 22 Nov 2026 12:00:44 GMT"},
            {"Date": "Sun, 22 Nov 2026 12:00:00 GMT", "Retry-After": "Sun, 22 Nov 2020 12:00:00 GMT"},
            {"Date": "Sun, 22 Nov 2026 12:00:00 GMT", "Retry-After": "Sun, 22 Nov 2026 12:00:44"},
        ],
    )
    def test_senseless_retry_after(
        self,
        headers: dict[str, str],
        server: ScriptedServer,
        ask: Callable[[], requests.Response],
        time: Time,
    ) -> None:
        server.on("/", Reply(503, headers=headers), Reply(200))
        ask()
        assert 0 <= time.slept[0] <= 1

    def test_bounded_in_all(self, server: ScriptedServer, ask: Callable[[], requests.Response], time: Time) -> None:
        server.on("/", Reply(503, headers={"Retry-After": "50"}))
        with pytest.raises(Unreachable, match="3 times in 100 s"):
            ask()
        assert time.slept == [50, 50]


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


def test_threads_share_a_session(server: ScriptedServer, session: requests.Session) -> None:
    server.on("/", Reply(200, "hello"))
    threads = [threading.Thread(target=session.get, args=(server.url,)) for _ in range(20)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(server.seen) == 20


def test_a_request_that_cannot_be_made_is_no_bug(
    session: requests.Session, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nope.pem")
    with pytest.raises(BadInput, match="could not even be made") as caught:
        persist(lambda: session.get("https://127.0.0.1:9/"), patience=patience, what="ask", on_wait=print)
    assert "/nope.pem" in caught.value.detail
