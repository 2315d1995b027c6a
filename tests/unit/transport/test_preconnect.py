"""Requests use the early connections; a server counts them."""

import ssl
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import IPPROTO_TCP, TCP_NODELAY, socket
from typing import Any

import pytest
import requests
import trustme

from gar_publish.transport import preconnect
from gar_publish.transport.preconnect import Preconnector
from gar_publish.transport.session import Session, new_session


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response_only(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
        if self.path == "/last":
            self.close_connection = True

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(getattr(self.server, "gives_up_after", None))

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Uses TLS 1.3, which sends tickets before any request."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, authority: trustme.CA, name: str = "127.0.0.1") -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        authority.issue_cert(name).configure_cert(context)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server_port}/"
        self.accepted = 0
        self.closed = threading.Semaphore(0)
        self.gives_up_after: float | None = None

    def get_request(self) -> tuple[socket, Any]:
        request = super().get_request()
        self.accepted += 1
        return request

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.closed.release()

    def handle_error(self, *_: object) -> None:
        """Say nothing: clients may close connections at any time."""


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server(authority: trustme.CA) -> Iterator[Server]:
    with Server(authority) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield server
        server.shutdown()


@pytest.fixture
def trust(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    place = str(tmp_path / "ca.pem")
    authority.cert_pem.write_to_path(place)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", place)
    return place


@pytest.fixture
def preconnector(trust: str) -> Iterator[Preconnector]:  # noqa: ARG001 - sets a variable
    with closing(Preconnector({}, 5)) as preconnector:
        yield preconnector


@pytest.fixture
def session(preconnector: Preconnector) -> Iterator[Session]:
    with new_session(take=preconnector.take) as session:
        yield session


def settle(server: Server, count: int) -> None:
    """Wait for connections and their TLS tickets."""
    until = time.monotonic() + 10
    while server.accepted < count and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.1)
    assert server.accepted == count


def test_an_early_connection_is_used(server: Server, preconnector: Preconnector, session: Session) -> None:
    preconnector.connect({server.url: 1})
    settle(server, 1)
    for _ in range(3):
        assert session.get(server.url).text == "ok"
    assert server.accepted == 1


def test_an_unfinished_connection_is_waited_for(server: Server, preconnector: Preconnector, session: Session) -> None:
    preconnector.connect({server.url: 1})
    assert session.get(server.url).text == "ok"
    assert server.accepted == 1


def test_each_connection_serves_one_request(server: Server, preconnector: Preconnector, session: Session) -> None:
    preconnector.connect({server.url: 2})
    with session.get(server.url, stream=True), session.get(server.url, stream=True), session.get(server.url):
        assert server.accepted == 3


def test_urls_of_one_host_share_its_connections(server: Server, preconnector: Preconnector) -> None:
    preconnector.connect({f"{server.url}a": 2, f"{server.url}b": 1})
    settle(server, 2)


def test_a_connection_that_the_server_has_closed_is_not_used(
    server: Server, preconnector: Preconnector, session: Session
) -> None:
    server.gives_up_after = 0.1
    preconnector.connect({server.url: 1})
    assert server.closed.acquire(timeout=10)
    assert session.get(server.url).text == "ok"
    assert server.accepted == 2


def test_a_connection_that_the_server_closed_after_a_request_is_not_used(server: Server, session: Session) -> None:
    assert session.get(f"{server.url}last").text == "ok"
    assert server.closed.acquire(timeout=10)
    assert session.get(server.url).text == "ok"
    assert server.accepted == 2


def test_unused_connections_are_closed(server: Server, preconnector: Preconnector) -> None:
    preconnector.connect({server.url: 2})
    settle(server, 2)
    preconnector.close()
    for _ in range(2):
        assert server.closed.acquire(timeout=10)


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Switch between threads so often that races show."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty_threads")
def test_requests_may_take_connections_during_close() -> None:
    with socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        port = listening.getsockname()[1]
        for _ in range(5):
            preconnector = Preconnector({}, 5)
            preconnector.connect({f"http://127.0.0.1:{port}/": 20})
            taken = threading.Event()

            def take(preconnector: Preconnector = preconnector, taken: threading.Event = taken) -> None:
                while connection := preconnector.take("http", "127.0.0.1", port):
                    connection.close()
                    taken.set()

            thread = threading.Thread(target=take)
            thread.start()
            taken.wait()
            preconnector.close()
            thread.join()


@pytest.mark.parametrize("name", ["other.example", "127.0.0.2"])
def test_a_certificate_for_another_name_fails_in_the_request(
    name: str, authority: trustme.CA, preconnector: Preconnector, session: Session
) -> None:
    with Server(authority, name) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        preconnector.connect({server.url: 1})
        with pytest.raises(requests.exceptions.SSLError, match=r"certificate is not valid for '127\.0\.0\.1'"):
            session.get(server.url)
        server.shutdown()


def test_an_untrusted_certificate_fails_in_the_request(server: Server) -> None:
    with closing(Preconnector({}, 5)) as preconnector, new_session(take=preconnector.take) as session:
        preconnector.connect({server.url: 2})
        for _ in range(3):
            with pytest.raises(requests.exceptions.SSLError):
                session.get(server.url)


def test_a_refused_connection_fails_in_the_request(preconnector: Preconnector, session: Session) -> None:
    with socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{taken.getsockname()[1]}/"
        preconnector.connect({url: 1})
        with pytest.raises(OSError, match="refused"):
            session.get(url)


def test_a_handshake_without_an_answer_is_given_up() -> None:
    with socket() as deaf, closing(Preconnector({}, 0.1)) as preconnector:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        port = deaf.getsockname()[1]
        preconnector.connect({f"https://127.0.0.1:{port}/": 1})
        assert preconnector.take("https", "127.0.0.1", port) is None


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_behind_a_proxy_only_this_machine_is_connected_to(
    name: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(preconnect, "create_connection", lambda host, _: asked.append(host))
    with closing(Preconnector({name: "http://proxy.example:3128"}, 5)) as preconnector:
        preconnector.connect({"https://example.com/": 1, server.url: 1})
    assert asked == [("127.0.0.1", server.server_port)]


def test_small_packets_are_not_delayed(server: Server, preconnector: Preconnector) -> None:
    preconnector.connect({server.url: 1})
    connection = preconnector.take("https", "127.0.0.1", server.server_port)
    assert connection
    with connection:
        assert connection.getsockopt(IPPROTO_TCP, TCP_NODELAY)


def test_without_tls(preconnector: Preconnector, session: Session) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        preconnector.connect({url: 1})
        assert session.get(url).text == "ok"
        server.shutdown()
