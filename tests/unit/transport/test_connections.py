"""How many connections requests take, and that each is one that works; with a server that counts them."""

import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import socket
from typing import Any

import pytest
import requests
import trustme

from gar_publish.transport import preconnect
from gar_publish.transport.preconnect import Preconnections
from gar_publish.transport.session import Session, new_session, release


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
    """Answers over TLS 1.3, whose tickets come when nobody has asked for anything."""

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
        self.hung_up = threading.Semaphore(0)
        self.gives_up_after: float | None = None

    def get_request(self) -> tuple[socket, Any]:
        request = super().get_request()
        self.accepted += 1
        return request

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.hung_up.release()

    def handle_error(self, *_: object) -> None:
        """Clients of these tests hang up at will."""


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
def ahead(trust: str) -> Iterator[Preconnections]:
    with closing(Preconnections({"REQUESTS_CA_BUNDLE": trust}, 5)) as ahead:
        yield ahead


@pytest.fixture
def session(ahead: Preconnections) -> Iterator[Session]:
    with new_session(ahead=ahead) as session:
        yield session


def settle(server: Server, count: int) -> None:
    """Wait until so many connections are there, and their tickets too."""
    until = time.monotonic() + 10
    while server.accepted < count and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.1)
    assert server.accepted == count


def test_a_connection_that_was_made_ahead_is_used(server: Server, ahead: Preconnections, session: Session) -> None:
    ahead.begin({server.url: 1})
    settle(server, 1)
    for _ in range(3):
        assert session.get(server.url).text == "ok"
    assert server.accepted == 1


def test_one_that_is_on_its_way_is_waited_for(server: Server, ahead: Preconnections, session: Session) -> None:
    ahead.begin({server.url: 1})
    assert session.get(server.url).text == "ok"
    assert server.accepted == 1


def test_each_is_for_one_request(server: Server, ahead: Preconnections, session: Session) -> None:
    ahead.begin({server.url: 2})
    with session.get(server.url, stream=True), session.get(server.url, stream=True), session.get(server.url):
        assert server.accepted == 3


def test_hosts_are_counted_once(server: Server, ahead: Preconnections) -> None:
    ahead.begin({f"{server.url}a": 2, f"{server.url}b": 1})
    settle(server, 2)


def test_one_that_the_server_has_closed_meanwhile_is_not_used(
    server: Server, ahead: Preconnections, session: Session
) -> None:
    server.gives_up_after = 0.1
    ahead.begin({server.url: 1})
    assert server.hung_up.acquire(timeout=10)
    assert session.get(server.url).text == "ok"
    assert server.accepted == 2


def test_one_that_the_server_closed_after_a_request_is_not_used(server: Server, session: Session) -> None:
    assert session.get(f"{server.url}last").text == "ok"
    assert server.hung_up.acquire(timeout=10)
    assert session.get(server.url).text == "ok"
    assert server.accepted == 2


def test_what_nobody_took_is_closed(server: Server, ahead: Preconnections) -> None:
    ahead.begin({server.url: 2})
    settle(server, 2)
    ahead.close()
    for _ in range(2):
        assert server.hung_up.acquire(timeout=10)


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads that take turns so often that what they do at the same time goes wrong where it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty_threads")
def test_requests_may_take_some_while_the_rest_is_closed() -> None:
    with socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        port = listening.getsockname()[1]
        for _ in range(5):
            ahead = Preconnections({}, 5)
            ahead.begin({f"http://127.0.0.1:{port}/": 20})
            taken = threading.Event()

            def take(ahead: Preconnections = ahead, taken: threading.Event = taken) -> None:
                while connection := ahead.take("http", "127.0.0.1", port):
                    connection.close()
                    taken.set()

            thread = threading.Thread(target=take)
            thread.start()
            taken.wait()
            ahead.close()
            thread.join()


@pytest.mark.parametrize("name", ["other.example", "127.0.0.2"])
def test_a_certificate_of_another_name_is_left_to_the_request(
    name: str, authority: trustme.CA, ahead: Preconnections, session: Session
) -> None:
    with Server(authority, name) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        ahead.begin({server.url: 1})
        with pytest.raises(requests.exceptions.SSLError, match=r"certificate is not valid for '127\.0\.0\.1'"):
            session.get(server.url)
        server.shutdown()


def test_a_server_whom_nobody_trusts_is_left_to_the_request(server: Server) -> None:
    with closing(Preconnections({}, 5)) as ahead, new_session(ahead=ahead) as session:
        ahead.begin({server.url: 2})
        for _ in range(3):
            with pytest.raises(requests.exceptions.SSLError):
                session.get(server.url)


@pytest.mark.usefixtures("trust")
def test_certificates_that_are_not_there_are_left_to_the_request(server: Server) -> None:
    environment = {"REQUESTS_CA_BUNDLE": "not-there.pem"}
    with closing(Preconnections(environment, 5)) as ahead, new_session(ahead=ahead) as session:
        ahead.begin({server.url: 1})
        assert session.get(server.url).text == "ok"


def test_a_folder_of_certificates(server: Server, authority: trustme.CA, tmp_path: Path) -> None:
    folder = tmp_path / "authorities"
    folder.mkdir()
    authority.cert_pem.write_to_path(str(folder / "one.pem"))
    subprocess.run(["openssl", "rehash", str(folder)], check=True)
    with closing(Preconnections({"CURL_CA_BUNDLE": str(folder)}, 5)) as ahead:
        ahead.begin({server.url: 1})
        taken = ahead.take("https", "127.0.0.1", server.server_port)
        assert taken
        taken.close()


def test_a_host_that_is_not_there_is_left_to_the_request(ahead: Preconnections, session: Session) -> None:
    with socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{taken.getsockname()[1]}/"
        ahead.begin({url: 1})
        with pytest.raises(OSError, match="refused"):
            session.get(url)


def test_a_handshake_that_nobody_answers_is_given_up(trust: str) -> None:
    with socket() as deaf, closing(Preconnections({"REQUESTS_CA_BUNDLE": trust}, 0.1)) as ahead:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        port = deaf.getsockname()[1]
        ahead.begin({f"https://127.0.0.1:{port}/": 1})
        assert ahead.take("https", "127.0.0.1", port) is None


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_behind_a_proxy_this_machine_alone_is_connected_to(
    name: str, server: Server, trust: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(preconnect, "create_connection", lambda host, _: asked.append(host))
    with closing(Preconnections({"REQUESTS_CA_BUNDLE": trust, name: "http://proxy.example:3128"}, 5)) as ahead:
        ahead.begin({"https://example.com/": 1, server.url: 1})
    assert asked == [("127.0.0.1", server.server_port)]


def test_without_tls(ahead: Preconnections, session: Session) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        ahead.begin({url: 1})
        assert session.get(url).text == "ok"
        server.shutdown()


def test_a_body_that_nobody_wants_costs_no_connection(server: Server, session: Session) -> None:
    release(session.get(server.url, stream=True))
    assert session.get(server.url).text == "ok"
    assert server.accepted == 1
