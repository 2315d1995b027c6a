"""Connections that are bounded in time: urllib3's own, with less trust in the other side."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from socket import SHUT_RDWR, socket
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from gar_publish.transport.preconnect import context_trusting

Take = Callable[[str, str, int | None], socket | None]


class _Watch:
    """Calls what is due while it is watched, in one thread for all: one for each answer would cost more than many."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: dict[object, tuple[float, Callable[[], None]]] = {}
        self._wakes_at = 0.0

    def add(self, key: object, at: float, call: Callable[[], None]) -> None:
        """Have something called at a time (of `time.monotonic`)."""
        with self._changed:
            self._due[key] = at, call
            if at < self._wakes_at:
                self._changed.notify()
            elif not self._wakes_at:
                threading.Thread(target=self._run, daemon=True).start()
                self._wakes_at = at

    def discard(self, key: object) -> None:
        """Do not call it any more."""
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


_watch = _Watch()


@contextmanager
def _in_time(connection: HTTPConnection) -> Iterator[None]:
    """A socket's timeout starts anew with each byte; a head that drips is cut off after twice the time."""
    late, key = False, object()

    def cut() -> None:
        nonlocal late
        late = True
        with suppress(OSError):
            if connection.sock:
                connection.sock.shutdown(SHUT_RDWR)

    if connection.timeout:
        _watch.add(key, time.monotonic() + 2 * float(connection.timeout), cut)
    try:
        yield
    finally:
        _watch.discard(key)
    if late:  # http.client takes a head that breaks off for a whole one
        raise ConnectionAbortedError("the answer drips")


class _Bounded(HTTPConnection):
    """What both kinds of connection have in common. urllib3 sends with the timeout that is meant for connecting.

    Attributes:
        scheme: What it speaks.
        stall: Seconds without progress, of a body that is sent, after which it is given up.
        take: Where a connection may be ready for it.
    """

    scheme: str
    stall: float
    take: Take

    def connect(self) -> None:
        if self.proxy is None and (ready := self.take(self.scheme, self.host, self.port)):
            self.sock, self.is_verified = ready, self.scheme == "https"
        else:
            with _in_time(self):
                super().connect()
        self.sock.settimeout(self.stall)

    def putrequest(self, *args: Any, **kwargs: Any) -> None:
        if self.sock:
            self.sock.settimeout(self.stall)
        super().putrequest(*args, **kwargs)

    def getresponse(self) -> Any:
        with _in_time(self):
            return super().getresponse()


class _Tls(_Bounded, HTTPSConnection):
    """Shares what it trusts with all others."""

    def connect(self) -> None:
        if self.ca_certs or self.ca_cert_dir:  # not where it is connected once more
            self.ssl_context = context_trusting(self.ca_certs or self.ca_cert_dir)
            self.ca_certs = self.ca_cert_dir = None
        super().connect()


def pools(stall: float, take: Take) -> dict[str, type[urllib3.HTTPConnectionPool]]:
    """Pools of such connections, by scheme (`urllib3.PoolManager.pool_classes_by_scheme`)."""

    def kind(scheme: str, connection: type[_Bounded], pool: type[urllib3.HTTPConnectionPool]) -> Any:
        bound = {"scheme": scheme, "stall": stall, "take": staticmethod(take)}
        return type(f"_{scheme}Pool", (pool,), {"ConnectionCls": type(f"_{scheme}Connection", (connection,), bound)})

    return {
        "http": kind("http", _Bounded, urllib3.HTTPConnectionPool),
        "https": kind("https", _Tls, urllib3.HTTPSConnectionPool),
    }
