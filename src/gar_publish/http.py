"""The one session factory, and the one way a token gets onto a request."""

import base64
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http import HTTPStatus
from ipaddress import ip_address
from socket import SHUT_RDWR
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.connection import HTTPConnection, HTTPSConnection

from gar_publish import __version__
from gar_publish.errors import BadInput
from gar_publish.patience import Patience
from gar_publish.repository import is_web_url

if TYPE_CHECKING:
    from gar_publish.credentials import TokenSource

BODY_LIMIT = 1024 * 1024
"""Bytes that an answer may have, unless its reader takes it piece by piece."""

SLOWEST = 10_000
"""Bytes a second, on average, below which an answer that drips is given up."""

_PIECE = 64 * 1024


def new_session(
    patience: Patience | None = None, *, trust: str | None = None, connections: int = 16
) -> requests.Session:
    """A session whose answers are bounded in time and size, and that has no credentials of its own.

    Proxies and `REQUESTS_CA_BUNDLE` are taken from the environment; `.netrc` is not. Only the body of a good answer
    that was asked for with `stream=True` is left to the caller, who takes it with `pieces`.

    Args:
        patience: Says how long to wait for a connection, and for an answer.
        trust: A file of CA certificates, instead of what the environment or certifi say.
        connections: How many connections to one host are kept for reuse.
    """
    session = _Session(trust)
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


class HostAuth(AuthBase):
    """Sends the current token and its user name to one host, and to no other.

    https://cloud.google.com/artifact-registry/docs/python/authentication

    Args:
        url: Any URL of that host; scheme, host and port count.
        source: Where the token comes from, asked anew for each request.
    """

    def __init__(self, url: str, source: "TokenSource") -> None:
        self._origin = _origin(url)
        self._source = source

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if request.url and _origin(request.url) == self._origin:
            token = self._source.token()
            pair = f"{token.user}:{token.value}"
            request.headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return request


def refused_token(response: requests.Response) -> str:
    """The token that was sent with the request of this answer: what `TokenSource.renew` asks for."""
    scheme, _, sent = response.request.headers.get("Authorization", "").partition(" ")
    return base64.b64decode(sent).decode().partition(":")[2] if scheme == "Basic" else sent


def with_renewal(call: Callable[[], requests.Response], source: "TokenSource") -> requests.Response:
    """Make a request that `HostAuth` authorises; where its token is refused (401), once more with another."""
    response = call()
    if response.status_code != requests.codes.unauthorized:
        return response
    refused = refused_token(response)
    if source.renew(refused).value == refused:
        return response
    response.close()
    return call()


def refuse_plain_http(url: str, emulator: str | None = None) -> None:
    """Let no credential out unencrypted.

    Args:
        url: Where a credential is about to be sent.
        emulator: The address of the emulator, where plain HTTP is fine.

    Raises:
        BadInput: It is neither HTTPS, nor on this machine, nor the emulator.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts)):
        return
    if emulator and _origin(url) == _origin(emulator):
        return
    raise BadInput(
        f"{parts.scheme or 'no scheme'}://{_host(parts)} is not encrypted, so no token is sent there.",
        fix=f"use https://{_host(parts)}",
        anchor="plain-http",
    )


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


@contextmanager
def _in_time(connection: HTTPConnection) -> Iterator[None]:
    """A socket's timeout starts anew with each byte; a head that drips is cut off after twice the time."""
    late = threading.Event()

    def cut() -> None:
        late.set()
        with suppress(OSError):
            if connection.sock:
                connection.sock.shutdown(SHUT_RDWR)

    watchdog = threading.Timer(2 * float(connection.timeout or 0), cut)
    watchdog.daemon = True
    if connection.timeout:
        watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()
    if late.is_set():  # http.client takes a head that breaks off for a whole one
        raise ConnectionAbortedError("the answer drips")


class _Bounded(HTTPConnection):
    """What both kinds of connection have in common. urllib3 sends with the timeout that is meant for connecting.

    Attributes:
        stall: Seconds without progress, of a body that is sent, after which it is given up.
    """

    stall: float

    def connect(self) -> None:
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


def _pools(stall: float) -> dict[str, type[urllib3.HTTPConnectionPool]]:
    plain = type("_PlainConnection", (_Bounded,), {"stall": stall})
    tls = type("_TlsConnection", (_Bounded, HTTPSConnection), {"stall": stall})
    return {
        "http": type("_PlainPool", (urllib3.HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("_TlsPool", (urllib3.HTTPSConnectionPool,), {"ConnectionCls": tls}),
    }


class _Adapter(HTTPAdapter):
    def __init__(self, timeouts: tuple[float, float], connections: int) -> None:
        self._timeouts = timeouts
        self._pools = _pools(timeouts[1])
        super().__init__(pool_maxsize=connections)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = self._pools
        return manager

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


class _Session(requests.Session):
    def __init__(self, trust: str | None) -> None:
        super().__init__()
        self._trust = trust

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
        if _is_loopback(urlsplit(url)):
            settings["proxies"] = {}
        return settings

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Keep credentials within one origin; requests would ask `.netrc` for others."""
        if _origin(prepared_request.url or "") != _origin(response.url):
            prepared_request.headers.pop("Authorization", None)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _host(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


def _is_loopback(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
