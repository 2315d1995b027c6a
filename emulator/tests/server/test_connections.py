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
    """Ask until there is an answer; every connection is done with when this returns."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            assert requests.get(url, timeout=10, verify=authority).status_code == 200
        except requests.ConnectionError:
            time.sleep(0.001)
        else:
            return
    pytest.fail("refuses for ever")


def strike(url: str, authority: str | None = None) -> None:
    with pytest.raises(requests.ConnectionError, match="Connection aborted"):
        requests.get(url, timeout=10, verify=authority)


def test_nobody_is_let_in_until_the_time_is_over_by_the_emulators_clock(local: Local, clock: Clock) -> None:
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
        idle.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        while b"computeMetadata/\n" not in idle.recv(65536):
            pass
        local.emulator.inject(REFUSED)
        strike(url)
        assert idle.recv(1) == b""


def test_port_cannot_be_taken_meanwhile(local: Local) -> None:
    local.emulator.inject(REFUSED)
    strike(local.emulator.url)
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(address(local.emulator.url))


def test_again_and_again_at_the_same_port(local: Local, clock: Clock) -> None:
    url = local.emulator.url
    for _ in range(5):
        local.emulator.inject(REFUSED)
        strike(url)
        assert is_refused(url)
        clock.now += 5
        wait_until_open(url)


def test_usual_time_passes_by_itself(data: Path) -> None:
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
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        # Python's TLS takes a reset for an end.
        with socket.socket(fileno=connection.detach()) as plain:
            plain.settimeout(10)
            with pytest.raises(ConnectionResetError):
                collections.deque(iter(lambda: plain.recv(65536), b""), maxlen=0)


def test_stops_while_it_refuses(data: Path, clock: Clock) -> None:
    with Emulator(data=data, clock=clock) as emulator:
        emulator.inject(REFUSED)
        strike(emulator.url)
        before = time.monotonic()
    assert time.monotonic() - before < STOP_TIMEOUT
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(address(emulator.url))


@pytest.mark.parametrize("tls", [False, True])
def test_whoever_connects_while_it_refuses_or_stops_is_let_go(data: Path, *, tls: bool) -> None:
    """Had one of them been lost, Python would warn when it is collected, and pytest would fail."""
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
        for _ in range(5):
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
