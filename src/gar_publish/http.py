"""The one session factory: its sessions have no credentials, and its answers are bounded in time and size."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import wait
from contextlib import closing, suppress
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from requests.utils import select_proxy

from gar_publish import __version__
from gar_publish.aside import aside
from gar_publish.connections import pools
from gar_publish.origins import is_loopback, origin
from gar_publish.patience import Patience
from gar_publish.repository import is_web_url

if TYPE_CHECKING:
    from concurrent.futures import Future

BODY_LIMIT = 1024 * 1024
"""Bytes that an answer may have, unless its reader takes it piece by piece."""

SLOWEST = 10_000
"""Bytes a second, on average, below which an answer that drips is given up."""

_PIECE = 64 * 1024
_MOMENT = 0.2
_FAILURES = requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError


def new_session(patience: Patience | None = None, *, trust: str | None = None, connections: int = 32) -> "Session":
    """A session whose answers are bounded in time and size, and that has no credentials of its own.

    Proxies and `REQUESTS_CA_BUNDLE` are taken from the environment; `.netrc` is not. Only the body of a good answer
    that was asked for with `stream=True` is left to the caller, who takes it with `pieces`.

    Args:
        patience: Says how long to wait for a connection, and for an answer.
        trust: A file of CA certificates, instead of what the environment or certifi say.
        connections: How many connections to one host are kept for reuse.
    """
    session = Session(trust)
    session.auth = _NoAuth()
    session.headers["User-Agent"] = f"gar-publish/{__version__}"
    for prefix in ("https://", "http://"):
        session.mount(prefix, _Adapter((patience or Patience()).timeouts, connections))
    return session


def is_success(response: requests.Response) -> bool:
    """Whether the answer is 2xx (RFC 9110, section 15.3): `ok` of requests takes 1xx and 3xx for success as well."""
    return HTTPStatus.OK <= response.status_code < HTTPStatus.MULTIPLE_CHOICES


def pieces(response: requests.Response, seconds: float) -> Iterator[bytes]:
    """The body of an answer as it arrives, as long as it comes at `SLOWEST` bytes a second after the first `seconds`.

    Raises:
        requests.RequestException: It breaks off, cannot be decoded, or drips.
    """
    started, received = time.monotonic(), 0
    with closing(response):
        while piece := _next_piece(response):
            yield piece
            received += len(piece)
            if time.monotonic() - started > seconds + received / SLOWEST:
                raise requests.Timeout("the answer drips", request=response.request)


def release(response: requests.Response) -> None:
    """Do without the body of a good answer, but keep the connection for the next request where the body is short."""
    with closing(response), suppress(requests.RequestException, ValueError):
        if int(response.headers.get("Content-Length", BODY_LIMIT)) < _PIECE:
            while _next_piece(response):
                pass


class _NoAuth(AuthBase):
    """Its presence keeps requests from looking into `.netrc`."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def _next_piece(response: requests.Response) -> bytes:
    try:
        return response.raw.read1(_PIECE, decode_content=True) or b""
    except urllib3.exceptions.DecodeError as error:
        raise requests.exceptions.ContentDecodingError(error, request=response.request) from error
    except urllib3.exceptions.ReadTimeoutError as error:
        raise requests.Timeout(error, request=response.request) from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise requests.exceptions.ChunkedEncodingError(error, request=response.request) from error


class _Adapter(HTTPAdapter):
    def __init__(self, timeouts: tuple[float, float], connections: int) -> None:
        self._timeouts = timeouts
        self._pools = pools(timeouts[1])
        super().__init__(pool_maxsize=connections)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager

    def connection(self, request: requests.PreparedRequest, verify: Any) -> Callable[[], None]:
        """Take a connection out of its pool; the result connects it and puts it back, for requests to use."""
        pool: Any = self.get_connection_with_tls_context(request, verify)
        self.cert_verify(pool, request.url, verify, None)  # type: ignore[no-untyped-call] # requests' own has no types
        connection = pool._get_conn()  # noqa: SLF001 - urllib3 connects for a request only

        def connect() -> None:
            try:
                if connection.sock is None:
                    connection.timeout = self._timeouts[0]
                    connection.connect()
            except Exception:
                connection.close()  # else the next request would take it for one that works
                raise
            finally:
                pool._put_conn(connection)  # noqa: SLF001 - the other half of `_get_conn`

        return connect

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        timeout = kwargs.get("timeout") or self._timeouts
        response = super().send(request, *args, **{**kwargs, "stream": True, "timeout": timeout})
        if not kwargs.get("stream") or not is_success(response):
            response._content = _small_body(response, timeout[1] if isinstance(timeout, tuple) else timeout)  # noqa: SLF001 - what `content` would be, but bounded
            response._content_consumed = True  # type: ignore[attr-defined] # noqa: SLF001 - the same
            response.encoding = "utf-8"  # RFC 8259, section 8.1; some that a server may name cost minutes
        return response


def _small_body(response: requests.Response, seconds: float) -> bytes:
    """The whole body; of a refusal, as much as can be had."""
    body = bytearray()
    try:
        for piece in pieces(response, seconds):
            body += piece
            if len(body) > BODY_LIMIT:
                raise requests.exceptions.ContentDecodingError("the answer is too long", request=response.request)
    except requests.RequestException:
        if is_success(response):
            raise
    return bytes(body[:BODY_LIMIT])


class Session(requests.Session):
    """What `new_session` makes. May be shared by threads: they share no cookies that matter, and connections."""

    def __init__(self, trust: str | None) -> None:
        super().__init__()
        self._trust = trust
        self._closed = threading.Event()
        self._ahead: dict[object, list[Future[None]]] = {}

    def connect_ahead(self, counts: Mapping[str, int]) -> None:
        """Connect to hosts by which requests will go soon; whether that works is left to them to find out.

        Args:
            counts: How many connections, by any URL of the host; those to one host serve for all of its URLs.
        """
        by_host: dict[object, tuple[str, int]] = {}
        for url, count in counts.items():
            by_host[origin(url)] = url, max(count, by_host.get(origin(url), (url, 0))[1])
        for host, (url, count) in by_host.items():
            connections = [self._connection(url) for _ in range(count)]  # all, before the first is there to be reused
            self._ahead.setdefault(host, []).extend(aside(partial(self._connect, each)) for each in connections if each)

    def _connection(self, url: str) -> Callable[[], None] | None:
        with suppress(*_FAILURES):
            adapter = self.get_adapter(url)
            how = self.merge_environment_settings(url, {}, None, None, None)
            if isinstance(adapter, _Adapter) and not select_proxy(url, how["proxies"]):
                return adapter.connection(requests.Request("GET", url).prepare(), how["verify"])
        return None

    def _connect(self, connect: Callable[[], None]) -> None:
        if self._closed.is_set():
            return
        with suppress(*_FAILURES):
            connect()
        if self._closed.is_set():  # meanwhile
            super().close()

    def close(self) -> None:
        """Close all connections; those that are on their way get a moment to arrive, and are closed then."""
        self._closed.set()
        wait([each for pending in list(self._ahead.values()) for each in pending], _MOMENT)
        super().close()

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Take over a connection that is on its way, rather than begin another."""
        with suppress(IndexError):
            self._ahead.get(origin(request.url or ""), []).pop(0).result()
        return super().send(request, **kwargs)

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Raise nothing but exceptions of requests, whatever is wrong with a URL, a proxy or a certificate file."""
        try:
            return super().request(*args, **kwargs)
        except requests.RequestException:
            raise
        except (ValueError, TypeError, urllib3.exceptions.HTTPError) as error:
            raise requests.exceptions.InvalidURL("a URL that leads nowhere") from error
        except OSError as error:
            raise requests.RequestException(error) from error

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        """Do without what else a session may have, and none of these has: cookies, parameters and hooks."""
        request.headers = {**self.headers, **(request.headers or {})}
        request.auth = request.auth or self.auth
        return request.prepare()

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Follow nothing that is no URL: the answer itself then is the last."""
        try:
            target = super().get_redirect_target(resp)
            return target if target and is_web_url(urljoin(resp.url, target)) else None
        except ValueError:
            return None

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        settings = super().merge_environment_settings(url, proxies, stream, verify, cert)
        if self._trust and verify in (None, True):
            settings["verify"] = self._trust
        if is_loopback(urlsplit(url)):
            settings["proxies"] = {}
        return settings

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Keep credentials within one origin; requests would ask `.netrc` for others."""
        if origin(prepared_request.url or "") != origin(response.url):
            prepared_request.headers.pop("Authorization", None)
