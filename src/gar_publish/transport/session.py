"""The one session factory: its sessions have no credentials, and its answers are bounded in time and size."""

import time
from collections.abc import Iterator
from contextlib import closing, suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from gar_publish import __version__
from gar_publish.context import RetryPolicy
from gar_publish.settings.repository import is_web_url
from gar_publish.transport.connections import pools
from gar_publish.transport.preconnect import Preconnections
from gar_publish.urls import is_loopback, origin

BODY_LIMIT = 1024 * 1024
"""Bytes that an answer may have, unless its reader takes it piece by piece."""

SLOWEST = 10_000
"""Bytes a second, on average, below which an answer that drips is given up."""

_PIECE = 64 * 1024


def new_session(
    retry_policy: RetryPolicy | None = None, *, ahead: Preconnections | None = None, connections: int = 32
) -> "Session":
    """A session whose answers are bounded in time and size, and that has no credentials of its own.

    Proxies and `REQUESTS_CA_BUNDLE` are taken from the environment; `.netrc` is not. Only the body of a good answer
    that was asked for with `stream=True` is left to the caller, who takes it with `pieces`.

    Args:
        retry_policy: Says how long to wait for a connection, and for an answer.
        ahead: Connections that requests are to take, rather than make their own.
        connections: How many connections to one host are kept for reuse.
    """
    session = Session()
    session.auth = _NoAuth()
    session.headers["User-Agent"] = f"gar-publish/{__version__}"
    for prefix in ("https://", "http://"):
        session.mount(prefix, _Adapter((retry_policy or RetryPolicy()).timeouts, ahead, connections))
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
    def __init__(self, timeouts: tuple[float, float], ahead: Preconnections | None, connections: int) -> None:
        self._timeouts = timeouts
        self._pools = pools(timeouts[1], (ahead or Preconnections({}, 0)).take)
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


class Session(requests.Session):
    """What `new_session` makes. May be shared by threads: they share no cookies that matter, and connections."""

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
        if is_loopback(urlsplit(url)):
            settings["proxies"] = {}
        return settings

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Keep credentials within one origin; requests would ask `.netrc` for others."""
        if origin(prepared_request.url or "") != origin(response.url):
            prepared_request.headers.pop("Authorization", None)
