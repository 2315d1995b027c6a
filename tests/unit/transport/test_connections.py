"""How long servers may take."""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from socket import socket
from time import monotonic

import pytest
import requests

from gar_publish.context import RetryPolicy
from gar_publish.transport.session import new_session


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


def test_a_silent_server(quick: requests.Session) -> None:
    with socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with pytest.raises(requests.Timeout):
            quick.get(f"http://127.0.0.1:{silent.getsockname()[1]}/")


@pytest.mark.parametrize(
    ("head", "error"),
    [
        (b"", "BadStatusLine"),
        (b"HTTP/1.1 200 OK\r\nX: ", r"\bthe answer is too slow\b"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", r"\bthe answer is too slow\b"),
    ],
    ids=["in its status", "in its headers", "in its body"],
)
def test_a_slow_answer(head: bytes, error: str, quick: requests.Session) -> None:
    errors = (requests.ConnectionError, requests.Timeout)
    with slow(head) as url, pytest.raises(errors, match=error):
        quick.get(url)


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
