"""Connections that are made before there is anything to ask: by the standard library alone, which is there at once."""

from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from socket import IPPROTO_TCP, TCP_NODELAY, create_connection, socket
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gar_publish.threads import in_background
from gar_publish.urls import is_loopback, origin

if TYPE_CHECKING:
    from ssl import SSLContext

Origin = tuple[str, str | None, int | None]

_PROXIES = {"all_proxy", "http_proxy", "https_proxy"}
_loading = Lock()


class Preconnections:
    """Connections to where requests will go soon, each for one of them. What fails here is left to the request.

    Args:
        environment: The environment's variables: a file or folder of CA certificates (`REQUESTS_CA_BUNDLE`), and
            proxies, with which only this machine is connected to.
        seconds: How long each step of a connection may take.
    """

    def __init__(self, environment: Mapping[str, str], seconds: float) -> None:
        self._trust = environment.get("REQUESTS_CA_BUNDLE") or environment.get("CURL_CA_BUNDLE")  # as requests does
        self._proxied = any(value and name.lower() in _PROXIES for name, value in environment.items())
        self._seconds = seconds
        self._made: dict[Origin, deque[Future[socket]]] = {}

    def begin(self, counts: Mapping[str, int]) -> None:
        """Connect.

        Args:
            counts: How many connections, by any URL of a host; those to one host serve for all of its URLs.
        """
        by_host: dict[Origin, int] = {}
        for url, count in counts.items():
            if is_loopback(urlsplit(url)) or not self._proxied:
                by_host[origin(url)] = max(count, by_host.get(origin(url), 0))
        for host, count in by_host.items():
            begun = [in_background(partial(self._connect, host)) for _ in range(count)]
            self._made.setdefault(host, deque()).extend(begun)
        if any(scheme == "https" for scheme, _, _ in by_host):
            in_background(lambda: context_trusting(self._trust))  # while the first packets are on their way

    def take(self, scheme: str, host: str, port: int | None) -> socket | None:
        """One that works, as soon as it is there; None where there is none."""
        with suppress(KeyError, IndexError, OSError, ValueError):
            connection = self._made[scheme, host, port].popleft().result(3 * self._seconds)
            if is_open(connection):
                return connection
            connection.close()
        return None

    def close(self) -> None:
        """Close those that nobody took, and those on their way as soon as they are there."""
        for made in self._made.values():
            with suppress(IndexError):  # a thread may still take one
                while True:
                    made.popleft().add_done_callback(_hang_up)

    def _connect(self, host: Origin) -> socket:
        scheme, name, port = host
        connection = create_connection((name or "", port or 0), self._seconds)
        connection.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        if scheme == "https":
            with connection:  # what wraps it takes it over
                connection = context_trusting(self._trust).wrap_socket(connection, server_hostname=name)
        return connection


def _hang_up(made: Future[socket]) -> None:
    if not made.exception():
        made.result().close()


def context_trusting(place: str | None) -> "SSLContext":
    """What is asked of a server's certificate, and by whom it may be signed: loaded once, for that takes 20 ms.

    Args:
        place: A file or folder of CA certificates, instead of certifi's.

    Raises:
        OSError: They cannot be read.
    """
    import certifi  # nobody waits for it here

    with _loading:
        return _context_trusting(place or certifi.where())


@cache
def _context_trusting(place: str) -> "SSLContext":
    import ssl  # the first packets need not wait for it

    folder = place if Path(place).is_dir() else None
    context = ssl.create_default_context(cafile=None if folder else place, capath=folder)
    context.hostname_checks_common_name = False  # RFC 9110, section 4.3.4
    context.set_alpn_protocols(["http/1.1"])
    return context


def is_open(connection: socket) -> bool:
    """Whether the other side has neither hung up nor said anything. A ticket of TLS 1.3 says nothing."""
    from ssl import SSLWantReadError  # see above

    connection.settimeout(0)
    try:
        connection.recv(1)
    except (BlockingIOError, SSLWantReadError):
        return True
    except OSError:
        return False
    return False
