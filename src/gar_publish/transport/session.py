"""HTTP sessions without credentials, whose answers are bounded in time and size."""

import time
from collections.abc import Iterator
from contextlib import closing, suppress
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from gar_publish import __version__, certificates
from gar_publish.context import RetryPolicy
from gar_publish.settings.repository import is_web_url
from gar_publish.transport.connections import Take, deadline, pool_classes
from gar_publish.urls import is_loopback, origin

BODY_LIMIT = 1024 * 1024
"""The longest answer in bytes, unless its reader takes it chunk by chunk."""

SLOWEST = 10_000
"""The average bytes per second below which an answer fails."""

_CHUNK = 64 * 1024
_KEPT = 32
"""Connections to one host that are kept for reuse."""


def new_session(
    retry_policy: RetryPolicy | None = None,
    *,
    take: Take = lambda *_: None,
    check_certificates: bool = True,
) -> "Session":
    """Return a session that uses the environment's proxies and certificates, but not `.netrc`.

    It reads the body of every answer, except that of a good answer to a request with `stream=True`: the caller reads
    that with `chunks`.

    Args:
        retry_policy: Its timeouts count.
        take: Returns a connection that is ready, if there is one (`Preconnector.take`).
        check_certificates: False where the caller does that later.

    Raises:
        BadInput: A variable names no usable file or folder of certificates.
    """
    if check_certificates:
        certificates.check()
    session = Session()
    session.auth = lambda request: request  # otherwise requests reads `.netrc`
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    session.headers["User-Agent"] = f"gar-publish/{__version__}"
    for prefix in ("https://", "http://"):
        session.mount(prefix, _Adapter((retry_policy or RetryPolicy()).timeouts, take))
    return session


def is_success(response: requests.Response) -> bool:
    """Return whether the status is 2xx (RFC 9110, section 15.3). `ok` of requests is true for 1xx and 3xx as well."""
    return HTTPStatus.OK <= response.status_code < HTTPStatus.MULTIPLE_CHOICES


def chunks(response: requests.Response, seconds: float) -> Iterator[bytes]:
    """Yield the body of an answer as it arrives.

    Raises:
        requests.RequestException: The body breaks off, cannot be decoded, or is slower than `SLOWEST` after `seconds`.
    """
    ends = time.monotonic() + seconds
    with closing(response):
        while chunk := _next_chunk(response, ends):
            yield chunk
            ends += len(chunk) / SLOWEST


def release(response: requests.Response) -> None:
    """Discard the body of a good answer. The connection is kept for the next request if the body is short."""
    with closing(response), suppress(requests.RequestException, ValueError):
        if int(response.headers.get("Content-Length", BODY_LIMIT)) < _CHUNK:
            while _next_chunk(response, time.monotonic() + 1):
                pass


def _next_chunk(response: requests.Response, ends: float) -> bytes:
    try:
        with deadline(ends, response.raw.shutdown):
            return response.raw.read1(_CHUNK, decode_content=True) or b""
    except ConnectionAbortedError as error:
        raise requests.Timeout(error, request=response.request) from error
    except urllib3.exceptions.DecodeError as error:
        raise requests.exceptions.ContentDecodingError(error, request=response.request) from error
    except urllib3.exceptions.ReadTimeoutError as error:
        raise requests.Timeout(error, request=response.request) from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise requests.exceptions.ChunkedEncodingError(error, request=response.request) from error


class _Adapter(HTTPAdapter):
    def __init__(self, timeouts: tuple[float, float], take: Take) -> None:
        self._timeouts = timeouts
        self._pools = pool_classes(timeouts[1], take)
        super().__init__(pool_maxsize=_KEPT)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs, proxy_ssl_context=certificates.ssl_context())
        manager.pool_classes_by_scheme = self._pools
        return manager

    def cert_verify(self, *_: Any) -> None:
        """Do nothing: the connection's own context verifies certificates."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        timeout = kwargs.get("timeout") or self._timeouts
        response = super().send(request, *args, **{**kwargs, "timeout": timeout})
        if not kwargs.get("stream") or not is_success(response):
            response._content = _small_body(response, timeout[1] if isinstance(timeout, tuple) else timeout)  # noqa: SLF001 - as `content` sets it, but bounded
            response._content_consumed = True  # type: ignore[attr-defined] # noqa: SLF001 - the same
            response.encoding = "utf-8"  # RFC 8259, section 8.1; some encodings that a server may name take minutes
        return response


def _small_body(response: requests.Response, seconds: float) -> bytes:
    """Return the whole body, or of a refusal as much as arrives."""
    body = bytearray()
    try:
        for chunk in chunks(response, seconds):
            body += chunk
            if len(body) > BODY_LIMIT:
                raise requests.exceptions.ContentDecodingError("the answer is too long", request=response.request)
    except requests.RequestException:
        if is_success(response):
            raise
    return bytes(body[:BODY_LIMIT])


class Session(requests.Session):
    """Keeps no cookies and no credentials, so threads may share it."""

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Raise exceptions of requests only, whatever is wrong with a URL or a proxy."""
        try:
            return super().request(*args, **kwargs)
        except requests.RequestException:
            raise
        except (ValueError, TypeError, urllib3.exceptions.HTTPError) as error:
            raise requests.exceptions.InvalidURL("a malformed URL") from error
        except OSError as error:
            raise requests.RequestException(error) from error

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Follow only URLs of the web. Any other redirect is the final answer."""
        try:
            target = super().get_redirect_target(resp)
            return target if target and is_web_url(urljoin(resp.url, target)) else None
        except ValueError:
            return None

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        settings = super().merge_environment_settings(url, proxies, stream, verify, cert) | {"verify": True}
        if is_loopback(urlsplit(url)):
            settings["proxies"] = {}
        return settings

    def rebuild_auth(self, prepared_request: requests.PreparedRequest, response: requests.Response) -> None:
        """Remove credentials from a redirect to another origin. requests would look for others in `.netrc`."""
        if origin(prepared_request.url or "") != origin(response.url):
            prepared_request.headers.pop("Authorization", None)
