"""The one session factory, the one retry policy, and the one way a token gets onto a request."""

import base64
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from gar_publish import __version__
from gar_publish.errors import BadInput, Unreachable

if TYPE_CHECKING:
    from tenacity import RetryCallState

    from gar_publish.credentials import TokenSource

TIMEOUTS = (10.0, 90.0)
"""Seconds for a connection, and for the next bytes of an answer."""

RETRYABLE = frozenset({408, 429, 500, 502, 503, 504})
_LONGEST_ASKED = 60.0
_CONNECTION = re.compile(r"^<?\w*Connection\w*\([^)]*\)>?: ")
_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
_TRANSIENT = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)


@dataclass(frozen=True)
class Patience:
    """How long to insist: exponential waits with full jitter.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/

    Attributes:
        tries: How many requests at most.
        first: The bound of the first wait in seconds; it doubles with each try.
        longest: The longest wait in seconds. A server may ask for a longer one, up to 60 (`Retry-After`).
        total: Seconds after which no further try is started.
        sleep: Waits for a number of seconds.
        clock: Seconds since some fixed point.
    """

    tries: int = 6
    first: float = 1.0
    longest: float = 20.0
    total: float = 120.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


def new_session(*, trust: str | None = None, connections: int = 16) -> requests.Session:
    """A session with timeouts on every request, and without credentials of its own.

    Proxies and `REQUESTS_CA_BUNDLE` are taken from the environment; `.netrc` is not.

    Args:
        trust: A file of CA certificates, instead of what the environment or certifi say.
        connections: How many connections to one host are kept for reuse.
    """
    session = _Session(trust)
    session.auth = _NoAuth()
    session.headers["User-Agent"] = f"gar-publish/{__version__}"
    for prefix in ("https://", "http://"):
        session.mount(prefix, _Adapter(pool_maxsize=connections))
    return session


def persist(
    call: Callable[[], requests.Response],
    *,
    patience: Patience,
    what: str,
    on_wait: Callable[[str], None],
) -> requests.Response:
    """Make a request again and again until its answer is final: not a lost connection, 408, 429 or 5xx.

    Args:
        call: Makes the request once.
        patience: How often, and for how long.
        what: What it is for, as a verb: "upload hello-1.0.whl".
        on_wait: Told one line before each wait.

    Raises:
        Unreachable: Out of patience.
        BadInput: The request cannot be made at all.
    """
    import tenacity  # it brings asyncio along, which a run without requests does not need

    started = patience.clock()
    jitter = tenacity.wait_random_exponential(multiplier=patience.first, max=patience.longest)

    def wait(state: "RetryCallState") -> float:
        return max(jitter(state), _asked_wait(state))

    def enough(state: "RetryCallState") -> bool:
        return (
            state.attempt_number >= patience.tries
            or patience.clock() - started + state.upcoming_sleep > patience.total
            or _UNTRUSTED in _describe(state)[1]
        )

    def announce(state: "RetryCallState") -> None:
        host, trouble = _describe(state)
        on_wait(f"{host}: {trouble}; trying again in {state.upcoming_sleep:.1f} s to {what}")

    def give_up(state: "RetryCallState") -> requests.Response:
        host, trouble = _describe(state)
        tries = "once" if state.attempt_number == 1 else f"{state.attempt_number} times"
        seconds = patience.clock() - started
        untrusted = _UNTRUSTED in trouble
        raise Unreachable(
            f"Could not {what}: asked {host} {tries} in {seconds:.0f} s, without a proper answer.",
            cause="a proxy that opens TLS connections, whose certificate authority is not known here"
            if untrusted
            else "an outage, or a firewall or proxy between this machine and the server",
            fix="export REQUESTS_CA_BUNDLE=/path/to/ca.pem"
            if untrusted
            else "run the same command again later; https://status.cloud.google.com shows outages",
            anchor="untrusted-certificate" if untrusted else "unreachable",
            detail=trouble,
        )

    insisting = tenacity.Retrying(
        retry=_not_final,
        wait=wait,
        stop=enough,
        before_sleep=announce,
        retry_error_callback=give_up,
        sleep=patience.sleep,
    )
    try:
        return insisting(call)
    except OSError as error:  # every exception of requests is one, and so is a certificate file that is missing
        raise BadInput(
            f"Could not {what}: the request could not even be made.",
            cause="a proxy, a certificate file or an address that cannot be right",
            fix="check HTTPS_PROXY, REQUESTS_CA_BUNDLE and SSL_CERT_FILE, where they are set",
            anchor="request-impossible",
            detail=re.sub(r"://[^/\s]*@", "://", str(error)),
        ) from None


class HostAuth(AuthBase):
    """Sends `oauth2accesstoken` and the current token to one host, and to no other.

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
            pair = f"oauth2accesstoken:{self._source.token().value}"
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


class _Adapter(HTTPAdapter):
    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs["timeout"] = kwargs.get("timeout") or TIMEOUTS
        return super().send(request, *args, **kwargs)


class _Session(requests.Session):
    def __init__(self, trust: str | None) -> None:
        super().__init__()
        self._trust = trust

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


def _not_final(state: "RetryCallState") -> bool:
    outcome = state.outcome
    if outcome is None:
        return False
    if error := outcome.exception():
        return isinstance(error, _TRANSIENT)
    response: requests.Response = outcome.result()
    if response.status_code not in RETRYABLE:
        return False
    response.close()
    return True


def _asked_wait(state: "RetryCallState") -> float:
    """The `Retry-After` of an answer, in seconds or as a date (RFC 9110, section 10.2.3)."""
    if state.outcome is None or state.outcome.exception():
        return 0.0
    headers: Mapping[str, str] = state.outcome.result().headers
    asked = headers.get("Retry-After", "").strip()
    if asked.isascii() and asked.isdigit():
        return min(float(asked), _LONGEST_ASKED)
    try:
        # Both ends of the wait by the server's clock, so that ours may be wrong.
        left = parsedate_to_datetime(asked) - parsedate_to_datetime(headers.get("Date", ""))
    except (ValueError, TypeError):
        return 0.0
    return min(max(left / timedelta(seconds=1), 0.0), _LONGEST_ASKED)


def _describe(state: "RetryCallState") -> tuple[str, str]:
    """The host that was asked, and what went wrong there, without any URL or header."""
    if state.outcome is None:
        return "the server", "no answer"
    error = state.outcome.exception()
    if error is None:
        response: requests.Response = state.outcome.result()
        return _host(urlsplit(response.url)), f"HTTP {response.status_code} {response.reason or ''}".strip()
    request = getattr(error, "request", None)
    host = _host(urlsplit(request.url)) if request is not None else "the server"
    if isinstance(error, requests.Timeout):
        return host, "no answer in time"
    inner = error.args[0] if error.args else error
    return host, _CONNECTION.sub("", str(getattr(inner, "reason", inner)))


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
