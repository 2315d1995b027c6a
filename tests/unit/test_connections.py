"""How many connections requests take, and that each is one that works; with a server that counts them."""

import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import socket
from typing import Any

import pytest
import requests
import trustme

from gar_publish.http import Session, new_session, release


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response_only(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
        if self.path == "/last":
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Answers over TLS 1.3, whose tickets come when nobody has asked for anything."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, authority: trustme.CA) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        authority.issue_cert("127.0.0.1").configure_cert(context)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server_port}/"
        self.accepted = 0

    def get_request(self) -> tuple[socket, Any]:
        request = super().get_request()
        self.accepted += 1
        return request

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
def session(authority: trustme.CA, tmp_path: Path) -> Iterator[Session]:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with new_session(trust=str(tmp_path / "ca.pem")) as session:
        yield session


def settle(server: Server, count: int) -> None:
    """Wait until so many connections are there, and their tickets too."""
    until = time.monotonic() + 10
    while server.accepted < count and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.1)
    assert server.accepted == count


def test_a_connection_that_was_made_ahead_is_used(server: Server, session: Session) -> None:
    session.connect_ahead({server.url: 1})
    settle(server, 1)
    for _ in range(3):
        assert session.get(server.url).text == "ok"
    assert server.accepted == 1


def test_one_that_is_on_its_way_is_waited_for(server: Server, session: Session) -> None:
    session.connect_ahead({server.url: 1})
    assert session.get(server.url).text == "ok"
    assert server.accepted == 1


def test_one_that_is_there_already_does_not_stand_for_another(server: Server, session: Session) -> None:
    session.connect_ahead({server.url: 8})  # so many that the first is ready before the last thread runs
    settle(server, 8)


def test_hosts_are_counted_once(server: Server, session: Session) -> None:
    session.connect_ahead({f"{server.url}a": 2, f"{server.url}b": 1})
    settle(server, 2)


def test_one_that_the_server_has_closed_is_not_used(server: Server, session: Session) -> None:
    assert session.get(f"{server.url}last").text == "ok"
    time.sleep(0.1)
    assert session.get(server.url).text == "ok"
    assert server.accepted == 2


def test_a_server_whom_nobody_trusts_is_left_to_the_request(server: Server) -> None:
    with new_session() as session:
        session.connect_ahead({server.url: 2})
        for _ in range(3):
            with pytest.raises(requests.exceptions.SSLError):
                session.get(server.url)


def test_a_host_that_is_not_there_is_left_to_the_request(session: Session) -> None:
    with socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{taken.getsockname()[1]}/"
        session.connect_ahead({url: 1})
        with pytest.raises(OSError, match="refused"):
            session.get(url)


def test_a_body_that_nobody_wants_costs_no_connection(server: Server, session: Session) -> None:
    release(session.get(server.url, stream=True))
    assert session.get(server.url).text == "ok"
    assert server.accepted == 1
