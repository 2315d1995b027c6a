"""urllib3's connections with bounds in time, so that a slow server cannot hold a run up."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from http.client import HTTPResponse
from socket import SHUT_RDWR, socket
from ssl import SSLEOFError, SSLWantReadError
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import wait

from gar_publish.certificates import ssl_context

Take = Callable[[str, str, int | None], socket | None]


class _Timer:
    """Calls functions at their times, all in one thread: one for each answer would cost more."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: dict[object, tuple[float, Callable[[], None]]] = {}
        self._wakes_at = 0.0

    def add(self, key: object, at: float, call: Callable[[], None]) -> None:
        """Have `call` called at a time of `time.monotonic`."""
        with self._changed:
            self._due[key] = at, call
            if at < self._wakes_at:
                self._changed.notify()
            elif not self._wakes_at:
                threading.Thread(target=self._run, daemon=True).start()
                self._wakes_at = at

    def discard(self, key: object) -> None:
        """Cancel a call."""
        with self._changed:
            self._due.pop(key, None)

    def _run(self) -> None:
        with self._changed:
            while self._due:
                self._wakes_at = min(at for at, _ in self._due.values())
                self._changed.wait(self._wakes_at - time.monotonic())
                for key, (at, call) in list(self._due.items()):
                    if at <= time.monotonic():
                        del self._due[key]
                        call()
            self._wakes_at = 0.0


_timer = _Timer()


@contextmanager
def deadline(at: float, shut_down: Callable[[], None]) -> Iterator[None]:
    """Shut a connection down at a time of `time.monotonic`. A socket's own timeout begins again with each byte.

    Raises:
        ConnectionAbortedError: That time has come. http.client would accept what arrived until then as the whole.
    """
    late, key = False, object()

    def end() -> None:
        nonlocal late
        late = True
        with suppress(OSError, ValueError):  # it is closed already
            shut_down()

    _timer.add(key, at, end)
    try:
        yield
    finally:
        _timer.discard(key)
        if late:
            raise ConnectionAbortedError("the answer is too slow")


class _Bounded(HTTPConnection):
    """Has a timeout of its own for sending, and stops sending once the answer begins (RFC 9112, section 9.5).

    urllib3 sends with the timeout for connecting. It reads an answer after a BrokenPipeError.

    Attributes:
        scheme: "http" or "https".
        stall: Seconds without progress after which sending fails.
        take: Returns a connection that is ready, if there is one.
        early: An answer that has begun before its request was sent. The connection then serves no other request.
    """

    scheme: str
    stall: float
    take: Take
    early: HTTPResponse | None = None

    def connect(self) -> None:
        self.early = None
        if self.proxy is None and (ready := self.take(self.scheme, self.host, self.port)):
            self.sock, self.is_verified = ready, self.scheme == "https"
        else:
            with self._deadline():
                super().connect()
        self.sock.settimeout(self.stall)

    def putrequest(self, *args: Any, **kwargs: Any) -> None:
        if self.sock:
            self.sock.settimeout(self.stall)
        super().putrequest(*args, **kwargs)

    def send(self, data: Any) -> None:
        if self.sock:
            if not wait.wait_for_socket(self.sock, read=True, write=True, timeout=self.stall):
                raise TimeoutError("the server takes nothing more")
            self.early = self.early or self._begun()
            if self.early:
                raise BrokenPipeError
        try:
            super().send(data)
        except SSLEOFError as error:  # what TLS makes of a connection that the server has closed
            raise BrokenPipeError from error

    def _begun(self) -> HTTPResponse | None:
        """Return the answer if its first byte is here. Tickets of TLS 1.3 also make a connection readable."""
        if not wait.wait_for_socket(self.sock, read=True, timeout=0):
            return None
        answer = HTTPResponse(self.sock)
        self.sock.settimeout(0)
        with suppress(SSLWantReadError):
            if answer.fp.peek(1):
                return answer
        self.sock.settimeout(self.stall)
        return None

    def response_class(self, *args: Any, **kwargs: Any) -> HTTPResponse:  # type: ignore[override] # http.client calls it
        return self.early or HTTPResponse(*args, **kwargs)

    @property
    def is_connected(self) -> bool:
        return not self.early and super().is_connected

    def getresponse(self) -> Any:
        with self._deadline():
            return super().getresponse()

    def _deadline(self) -> AbstractContextManager[None]:
        """Bound what is done by twice the timeout."""

        def shut_down() -> None:
            if self.sock:
                self.sock.shutdown(SHUT_RDWR)

        return deadline(time.monotonic() + 2 * float(self.timeout), shut_down) if self.timeout else nullcontext()


class _Tls(_Bounded, HTTPSConnection):
    def connect(self) -> None:
        self.ssl_context = ssl_context()
        super().connect()


def pool_classes(stall: float, take: Take) -> dict[str, type[urllib3.HTTPConnectionPool]]:
    """Return the classes of connection pools by scheme (`urllib3.PoolManager.pool_classes_by_scheme`)."""

    def kind(scheme: str, connection: type[_Bounded], pool: type[urllib3.HTTPConnectionPool]) -> Any:
        bound = {"scheme": scheme, "stall": stall, "take": staticmethod(take)}
        return type(f"_{scheme}Pool", (pool,), {"ConnectionCls": type(f"_{scheme}Connection", (connection,), bound)})

    return {
        "http": kind("http", _Bounded, urllib3.HTTPConnectionPool),
        "https": kind("https", _Tls, urllib3.HTTPSConnectionPool),
    }
