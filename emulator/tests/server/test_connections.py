import collections
import contextlib
import gc
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from emulated import Clock, Local
from gar_emulator import Emulator
from gar_emulator.server.connections import STOP_TIMEOUT
from gar_emulator.world.fault import Fault

REFUSED = Fault("metadata", "refused", seconds=5)
MANY = 300


def address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or 0


def is_refused(url: str) -> bool:
    try:
        socket.create_connection(address(url), timeout=10).close()
    except ConnectionRefusedError:
        return True
    return False


def wait_until_open(url: str, authority: str | None = None) -> None:
    """Send requests until there is an answer. All connections are closed then."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            assert requests.get(url, timeout=10, verify=authority).status_code == 200
        except requests.ConnectionError:
            time.sleep(0.001)
        else:
            return
    pytest.fail("still refuses")


def strike(url: str, authority: str | None = None) -> None:
    with pytest.raises(requests.ConnectionError, match="Connection aborted"):
        requests.get(url, timeout=10, verify=authority)


def test_refuses_until_the_emulators_clock_reaches_the_end(local: Local, clock: Clock) -> None:
    url = local.emulator.url
    local.emulator.inject(REFUSED)
    strike(url)
    clock.now += 4.9
    time.sleep(0.02)
    assert is_refused(url)
    clock.now += 0.1
    wait_until_open(url)
    assert local.session.get(url).status_code == 200
    assert local.emulator.struck == {REFUSED: 1}


def test_idle_connections_are_closed(local: Local) -> None:
    url = local.emulator.url
    with socket.create_connection(address(url), timeout=10) as idle:
        idle.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while b"computeMetadata/\n" not in idle.recv(65536):
            pass
        local.emulator.inject(REFUSED)
        strike(url)
        assert idle.recv(1) == b""


def test_port_stays_bound_while_refusing(local: Local) -> None:
    local.emulator.inject(REFUSED)
    strike(local.emulator.url)
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(address(local.emulator.url))


def test_refuses_repeatedly_on_the_same_port(local: Local, clock: Clock) -> None:
    url = local.emulator.url
    for _ in range(5):
        local.emulator.inject(REFUSED)
        strike(url)
        assert is_refused(url)
        clock.now += 5
        wait_until_open(url)


def test_real_clock_ends_the_refusal(data: Path) -> None:
    with Emulator(data=data) as emulator:
        emulator.inject(Fault("metadata", "refused", seconds=0.01))
        strike(emulator.url)
        wait_until_open(emulator.url)


def test_both_ports_with_tls(data: Path, clock: Clock) -> None:
    with Emulator(data=data, tls=True, clock=clock) as emulator:
        authority = str(emulator.ca_file)
        emulator.inject(REFUSED)
        strike(emulator.url, authority)
        assert is_refused(emulator.url)
        assert is_refused(emulator.plain_url)
        clock.now += 5
        wait_until_open(emulator.url, authority)
        wait_until_open(emulator.plain_url)


@pytest.mark.parametrize("fault", ["reset-before-body", "reset-after-body", "accepted-lost", "refused"])
def test_reset_with_tls(data: Path, fault: str) -> None:
    with Emulator(data=data, tls=True) as emulator:
        context = ssl.create_default_context(cafile=str(emulator.ca_file))
        emulator.inject(Fault("metadata", fault))
        connection = context.wrap_socket(
            socket.create_connection(address(emulator.url), timeout=10), server_hostname="127.0.0.1"
        )
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        # Python's TLS does not distinguish a reset from an end.
        with socket.socket(fileno=connection.detach()) as plain:
            plain.settimeout(10)
            with pytest.raises(ConnectionResetError):
                collections.deque(iter(lambda: plain.recv(65536), b""), maxlen=0)


def test_stops_while_refusing(data: Path, clock: Clock) -> None:
    with Emulator(data=data, clock=clock) as emulator:
        emulator.inject(REFUSED)
        strike(emulator.url)
        before = time.monotonic()
    assert time.monotonic() - before < STOP_TIMEOUT
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(address(emulator.url))


@pytest.mark.parametrize("tls", [False, True])
def test_no_connection_is_lost_while_refusing_or_stopping(data: Path, *, tls: bool) -> None:
    """A lost connection would cause a warning at its collection, and so fail the test."""
    over = threading.Event()

    def keep_connecting(url: str) -> None:
        with contextlib.ExitStack() as opened:
            for _ in range(MANY):
                with contextlib.suppress(OSError):
                    client = opened.enter_context(socket.create_connection(address(url), timeout=1))
                    client.sendall(b"GET / HTTP/1.1\r\n")
                if over.is_set():
                    break

    with ThreadPoolExecutor() as pool:
        for _ in range(3):
            with Emulator(data=data, tls=tls) as emulator:
                clients = [pool.submit(keep_connecting, emulator.url) for _ in range(2)]
                authority = str(emulator.ca_file) if tls else None
                emulator.inject(Fault("metadata", "refused", seconds=0.01))
                strike(emulator.url, authority)
                wait_until_open(emulator.url, authority)
            over.set()
            wait(clients)
            over.clear()
    gc.collect()
