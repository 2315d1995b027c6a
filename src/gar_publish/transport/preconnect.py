"""Connections that begin before `requests` is imported, with the standard library alone."""

from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from socket import IPPROTO_TCP, TCP_NODELAY, create_connection, socket
from urllib.parse import urlsplit

from gar_publish.certificates import ssl_context
from gar_publish.threads import in_background
from gar_publish.urls import is_loopback, origin

Origin = tuple[str, str | None, int | None]

_PROXIES = {"all_proxy", "http_proxy", "https_proxy"}


class Preconnector:
    """Connects to hosts before the first request. Each connection serves one request, which retries what fails here.

    Args:
        environment: The environment variables. If they name a proxy, only this machine is connected to.
        seconds: The longest time for each step of a connection.
    """

    def __init__(self, environment: Mapping[str, str], seconds: float) -> None:
        self._proxied = any(value and name.lower() in _PROXIES for name, value in environment.items())
        self._seconds = seconds
        self._connections: dict[Origin, deque[Future[socket]]] = {}

    def connect(self, counts: Mapping[str, int]) -> None:
        """Begin connections: as many for each host as the highest count of its URLs."""
        by_host: dict[Origin, int] = {}
        for url, count in counts.items():
            if is_loopback(urlsplit(url)) or not self._proxied:
                by_host[origin(url)] = max(count, by_host.get(origin(url), 0))
        for host, count in by_host.items():
            begun = [in_background(partial(self._connect, host)) for _ in range(count)]
            self._connections.setdefault(host, deque()).extend(begun)
        if any(scheme == "https" for scheme, _, _ in by_host):
            in_background(ssl_context)  # while the first packets are on their way

    def take(self, scheme: str, host: str, port: int | None) -> socket | None:
        """Return a connection that works, or None. Waits for one that has begun."""
        with suppress(KeyError, IndexError, OSError, ValueError):
            connection = self._connections[scheme, host, port].popleft().result(3 * self._seconds)
            if is_open(connection):
                return connection
            connection.close()
        return None

    def close(self) -> None:
        """Close the connections that were not taken. Those that have just begun are closed once they exist."""
        for connections in self._connections.values():
            with suppress(IndexError):  # a thread may still take one
                while True:
                    connections.popleft().add_done_callback(_close)

    def _connect(self, host: Origin) -> socket:
        scheme, name, port = host
        connection = create_connection((name or "", port or 0), self._seconds)
        connection.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        if scheme == "https":
            with connection:  # the TLS socket takes it over
                connection = ssl_context().wrap_socket(connection, server_hostname=name)
        return connection


def _close(connection: Future[socket]) -> None:
    if not connection.exception():
        connection.result().close()


def is_open(connection: socket) -> bool:
    """Return whether the server has neither closed the connection nor sent data. A ticket of TLS 1.3 is no data."""
    from ssl import SSLWantReadError  # connections begin before it is loaded

    connection.settimeout(0)
    try:
        connection.recv(1)
    except (BlockingIOError, SSLWantReadError):
        return True
    except OSError:
        return False
    return False
