"""How long servers may take."""

import itertools
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from socket import IPPROTO_TCP, SHUT_WR, SO_LINGER, SOL_SOCKET, TCP_NODELAY, socket
from time import monotonic

import pytest
import requests
import trustme

from gar_publish.context import RetryPolicy
from gar_publish.transport.session import new_session


@pytest.fixture
def quick() -> Iterator[requests.Session]:
    with new_session(RetryPolicy(timeouts=(0.2, 0.2))) as session:
        yield session


@pytest.fixture(params=["plain", "TLS"])
def tls(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext | None:
    """Return a server's TLS context whose certificate gar-publish trusts, or None for plain HTTP."""
    if request.param == "plain":
        return None
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@contextmanager
def one_client(handle: Callable[[socket, threading.Event], None], tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Yield the URL of a server for one connection, which `handle` ends when the event is set."""
    stop = threading.Event()

    def serve_one() -> None:
        connection, _ = listening.accept()
        connection.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)  # or a reset overtakes what was sent before
        if tls:
            connection = tls.wrap_socket(connection, server_side=True)
        with connection, suppress(OSError):
            connection.recv(1000)
            handle(connection, stop)

    with socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        thread = threading.Thread(target=serve_one, daemon=True)
        thread.start()
        try:
            yield f"{'https' if tls else 'http'}://127.0.0.1:{listening.getsockname()[1]}/"
        finally:
            stop.set()
            thread.join()


def slow(head: bytes, tls: ssl.SSLContext | None) -> AbstractContextManager[str]:
    """Yield the URL of a server that sends `head`, and then one byte of a header or a body from time to time."""
    bytes_ = (
        itertools.chain([head], itertools.repeat(b"x")) if head else (bytes([each]) for each in b"HTTP/1.1 200 " * 99)
    )

    def handle(connection: socket, stop: threading.Event) -> None:
        for each in bytes_:
            connection.sendall(each)
            if stop.wait(0.05):
                return

    return one_client(handle, tls)


def test_a_silent_server(quick: requests.Session) -> None:
    with socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(requests.Timeout):
            quick.get(f"http://127.0.0.1:{silent.getsockname()[1]}/")


@pytest.mark.parametrize("tls", ["TLS"], indirect=True)
@pytest.mark.parametrize(
    ("head", "error"),
    [
        (b"", requests.ConnectionError),
        (b"HTTP/1.1 200 OK\r\nX: ", requests.ConnectionError),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", requests.Timeout),
        (b"HTTP/1.1 200 OK\r\n\r\n", requests.Timeout),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", requests.Timeout),
    ],
    ids=["in its status", "in its headers", "in its body", "in a body of unknown length", "in the size of a chunk"],
)
def test_a_slow_answer(head: bytes, error: type[Exception], tls: ssl.SSLContext | None) -> None:
    with (
        slow(head, tls) as url,
        new_session(RetryPolicy(timeouts=(5, 0.2))) as session,
        pytest.raises(error, match=r"\bthe answer is too slow\b"),
    ):
        session.get(url)


@pytest.mark.parametrize(("pause", "ends"), [(0.3, True), (30.0, False)])
def test_a_pause_while_a_body_is_sent(pause: float, *, ends: bool) -> None:
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
def test_a_silent_proxy(*, sends: bool) -> None:
    def handle(connection: socket, stop: threading.Event) -> None:
        while not stop.wait(0.05):
            connection.sendall(b"x" if sends else b"")

    started = monotonic()
    with one_client(handle) as proxy, new_session(RetryPolicy(timeouts=(0.2, 30.0))) as session:
        with pytest.raises((requests.ConnectionError, requests.Timeout)):
            session.get("https://us-python.pkg.dev/", proxies={"https": proxy})
        assert monotonic() - started < 15


def test_the_callers_timeout_wins(session: requests.Session) -> None:
    with socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(requests.Timeout):
            session.get(f"http://127.0.0.1:{silent.getsockname()[1]}/", timeout=0.1)


# Answers before the end of a request


PIECE = b"x" * 16384
PIECES = 29_000_000 // len(PIECE)
REFUSAL = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 12\r\n\r\nno, not you\n"


def shut_down(connection: socket, stop: threading.Event) -> None:
    connection.sendall(REFUSAL)
    socket.shutdown(connection, SHUT_WR)
    stop.wait(10)


def reset(connection: socket, stop: threading.Event) -> None:  # noqa: ARG001 - the others have it
    connection.sendall(REFUSAL)
    connection.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def reset_after_a_while(connection: socket, stop: threading.Event) -> None:
    stop.wait(0.2)  # the client cannot send more meanwhile
    reset(connection, stop)


def stay_silent(connection: socket, stop: threading.Event) -> None:
    stop.wait(0.2)
    connection.sendall(REFUSAL)
    stop.wait(10)


@pytest.mark.parametrize("ends", [shut_down, reset, reset_after_a_while, stay_silent])
def test_an_answer_before_the_body_ends_it(
    ends: Callable[[socket, threading.Event], None], tls: ssl.SSLContext | None
) -> None:
    sent = 0

    def body() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(PIECES):
            yield PIECE
            sent += 1

    with one_client(ends, tls) as url, new_session(RetryPolicy(timeouts=(5, 5))) as session:
        answer = session.post(url, data=body())
        assert (answer.status_code, answer.text) == (403, "no, not you\n")
        assert sent < PIECES / 2
        pool = session.get_adapter(url).poolmanager.connection_from_url(url)  # type: ignore[attr-defined] # requests has it
        assert pool._get_conn().is_closed, "the server still waits for the rest of the body"


def test_an_answer_lost_by_a_reset(tls: ssl.SSLContext | None) -> None:
    def end(connection: socket, _: threading.Event) -> None:
        connection.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    with (
        one_client(end, tls) as url,
        new_session(RetryPolicy(timeouts=(5, 5))) as session,
        pytest.raises(requests.ConnectionError),
    ):
        session.post(url, data=itertools.repeat(PIECE, PIECES))


def test_what_tls_sends_of_its_own_accord_is_no_answer(tls: ssl.SSLContext | None) -> None:
    def take(connection: socket, stop: threading.Event) -> None:
        while (piece := connection.recv(1 << 20)) and not piece.endswith(b"0\r\n\r\n"):
            stop.wait(0.001)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with one_client(take, tls) as url, new_session(RetryPolicy(timeouts=(5, 5))) as session:
        assert session.post(url, data=itertools.repeat(PIECE, 100)).status_code == 200
