import gzip
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from socket import socket
from time import monotonic, process_time

import pytest
import requests

from gar_publish import __version__
from gar_publish.context import Context, RetryPolicy
from gar_publish.errors import BadInput
from gar_publish.transport.retry import with_retries
from gar_publish.transport.session import BODY_LIMIT, new_session
from tests.unit.servers import Reply, ScriptedServer, serve


@pytest.fixture
def other() -> Iterator[ScriptedServer]:
    with serve() as server:
        yield server


@pytest.fixture
def quick() -> Iterator[requests.Session]:
    with new_session(RetryPolicy(timeouts=(0.2, 0.2))) as session:
        yield session


@contextmanager
def one_client(handle: Callable[[socket, threading.Event], None]) -> Iterator[str]:
    """Yield the URL of a server for one connection, which `handle` ends when the event is set."""
    stop = threading.Event()

    def serve_one() -> None:
        connection, _ = listening.accept()
        with connection, suppress(OSError):
            connection.recv(1000)
            handle(connection, stop)

    with socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        thread = threading.Thread(target=serve_one, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        finally:
            stop.set()
            thread.join()


def slow(head: bytes) -> AbstractContextManager[str]:
    """Yield the URL of a server that sends `head`, and then one byte of a header or a body from time to time."""
    bytes_ = (
        itertools.chain([head], itertools.repeat(b"x")) if head else (bytes([each]) for each in b"HTTP/1.1 200 " * 99)
    )

    def handle(connection: socket, stop: threading.Event) -> None:
        for each in bytes_:
            connection.sendall(each)
            if stop.wait(0.05):
                return

    return one_client(handle)


class TestSession:
    def test_user_agent(self, server: ScriptedServer, session: requests.Session) -> None:
        session.get(server.url)
        assert server.seen[0].headers["User-Agent"] == f"gar-publish/{__version__}"

    def test_no_cookies_and_no_password_of_a_url(self, server: ScriptedServer, session: requests.Session) -> None:
        server.on("/", Reply(200, headers={"Set-Cookie": "a=b"}))
        for _ in range(2):
            session.get(server.url.replace("://", "://me:secret@"), headers={"X": "y", "user-agent": "another"})
        for seen in server.seen:
            assert "Cookie" not in seen.headers
            assert "Authorization" not in seen.headers
            assert (seen.headers["X"], seen.headers["User-Agent"]) == ("y", "another")

    def test_a_silent_server(self, quick: requests.Session) -> None:
        with socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            with pytest.raises(requests.Timeout):
                quick.get(f"http://127.0.0.1:{silent.getsockname()[1]}/")

    @pytest.mark.parametrize(
        "head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"], ids=["in its head", "in its body"]
    )
    def test_a_slow_answer(self, head: bytes, quick: requests.Session) -> None:
        with slow(head) as url, pytest.raises((requests.ConnectionError, requests.Timeout)):
            quick.get(url)

    @pytest.mark.parametrize(("pause", "ends"), [(0.3, True), (30.0, False)])
    def test_a_pause_while_a_body_is_sent(self, pause: float, *, ends: bool) -> None:
        """The limit is 0.1 seconds for a connection, and 1 for a pause while a body is sent."""

        def handle(connection: socket, stop: threading.Event) -> None:
            if stop.wait(pause):
                return
            while (piece := connection.recv(1 << 20)) and not piece.endswith(b"0\r\n\r\n"):
                pass
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        with (
            one_client(handle) as url,
            new_session(RetryPolicy(timeouts=(0.1, 1.0))) as session,
            nullcontext() if ends else pytest.raises(requests.ConnectionError),
        ):
            assert session.post(url, data=itertools.repeat(b"x" * 65536, 1000)).ok

    @pytest.mark.parametrize("sends", [False, True])
    def test_a_silent_proxy(self, *, sends: bool) -> None:
        def handle(connection: socket, stop: threading.Event) -> None:
            while not stop.wait(0.05):
                connection.sendall(b"x" if sends else b"")

        started = monotonic()
        with one_client(handle) as proxy, new_session(RetryPolicy(timeouts=(0.2, 30.0))) as session:
            with pytest.raises((requests.ConnectionError, requests.Timeout)):
                session.get("https://us-python.pkg.dev/", proxies={"https": proxy})
            assert monotonic() - started < 15

    def test_answers_are_utf_8(self, server: ScriptedServer, session: requests.Session) -> None:
        server.on("/", Reply(200, f'"{"ä" * 400_000}"', {"Content-Type": "application/json; charset=punycode"}))
        started = process_time()
        assert session.get(server.url).json() == "ä" * 400_000
        assert process_time() - started < 5

    @pytest.mark.parametrize("url", ["http://a..b/", "http://[::1/", f"https://{'a' * 70}.example/"])
    def test_only_exceptions_of_requests(self, url: str, session: requests.Session) -> None:
        with pytest.raises(requests.RequestException):
            session.get(url)

    @pytest.mark.parametrize("coding", ["identity", "gzip"])
    def test_answers_are_bounded(self, coding: str, server: ScriptedServer, session: requests.Session) -> None:
        body = b"x" * (BODY_LIMIT + 1)
        body = gzip.compress(body) if coding == "gzip" else body
        server.on("/", Reply(200, body, headers={"Content-Encoding": coding}))
        server.on("/refused", Reply(403, body, headers={"Content-Encoding": coding}))
        with pytest.raises(requests.exceptions.ContentDecodingError, match="too long"):
            session.get(server.url)
        assert len(session.get(f"{server.url}/refused", stream=True).content) == BODY_LIMIT

    def test_a_refusal_whose_body_breaks_off(self, server: ScriptedServer, session: requests.Session) -> None:
        server.on("/", Reply(403, "no", cut=10))
        assert session.get(server.url).text == "no"

    def test_the_callers_timeout_wins(self, session: requests.Session) -> None:
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


def test_threads_share_a_session(server: ScriptedServer, session: requests.Session) -> None:
    server.on("/", Reply(200, "hello"))
    threads = [threading.Thread(target=session.get, args=(server.url,)) for _ in range(20)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(server.seen) == 20


def test_a_request_that_cannot_be_made(session: requests.Session, context: Context) -> None:
    proxies = {"https": "ftp://proxy.example"}
    with pytest.raises(BadInput, match="could not be made"):
        with_retries(lambda: session.get("https://us-python.pkg.dev/", proxies=proxies), context, "ask")
