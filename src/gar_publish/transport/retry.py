"""Retries, and every other wait for a server."""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TypeVar

import requests

from gar_publish import certificates
from gar_publish.context import LAG_WAITS, Context
from gar_publish.errors import BadInput, Failure, RegistryRefused, Unreachable
from gar_publish.urls import host_of

Answer = TypeVar("Answer")

RETRYABLE = frozenset({408, 429, 500, 502, 503, 504})
_LONGEST_RETRY_AFTER = 60.0
_TRIES_OF_UNUSABLE = 3
_CONNECTION = re.compile(r"^<?\w*Connection\w*\([^)]*\)>?: ")
_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
_NO_ADDRESS = "Failed to resolve"
_NO_PROXY = "Unable to connect to proxy"
_NO_TUNNEL = "Tunnel connection failed"
_PROXY_LOGIN = "Tunnel connection failed: 407"
_TRANSIENT = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)
_NOT_KNOWN = {"repository-missing", "registry-403"}
"""The anchors of failures where a server does not know a repository yet, or not who may use it."""


class UnusableAnswer(requests.RequestException):
    """An answer that cannot be the right one, such as a proxy's. After three of them, `failure` is raised."""

    def __init__(self, response: requests.Response, failure: Failure) -> None:
        super().__init__("unusable answer", response=response)
        self.failure = failure


def with_retries(call: Callable[[], requests.Response], context: Context, what: str) -> requests.Response:
    """Make a request until its answer is final: not a lost connection, 408, 429 or 5xx.

    Args:
        call: Makes the request once.
        context: How often and how long, and the console that announces each wait.
        what: The purpose as a verb: "upload hello-1.0.whl".

    Raises:
        Unreachable: The last try failed as well.
        RegistryRefused: The server redirects in cycles.
        Failure: That of an `UnusableAnswer`.
        BadInput: The request cannot be made at all.
    """
    policy = context.retry_policy
    started = policy.clock()
    tries = unusable = 0
    while True:
        tries += 1
        failure: Failure | None = None
        retry_after = 0.0
        try:
            response = call()
        except UnusableAnswer as error:
            unusable += 1
            host, trouble = _describe(error)
            failure = error.failure
        except _TRANSIENT as error:
            host, trouble = _describe(error)
        except requests.RequestException as error:
            raise _impossible(what, error) from None
        else:
            if response.status_code not in RETRYABLE:
                return response
            response.close()
            host, trouble = host_of(response.url), f"HTTP {response.status_code} {response.reason or ''}".strip()
            retry_after = _retry_after(response.headers)
        bound = min(policy.longest, policy.first * 2 ** (tries - 1))
        wait = max(random.uniform(0, bound), retry_after)  # noqa: S311 - jitter
        seconds = policy.clock() - started
        if (
            tries >= policy.tries
            or (tries >= policy.least and seconds + wait > policy.total)
            or (failure and unusable >= _TRIES_OF_UNUSABLE)
            or _UNTRUSTED in trouble
            or _PROXY_LOGIN in trouble
        ):
            raise failure or _unreachable(what, host, trouble, tries, seconds)
        _wait(context, wait, f"{host}: {trouble}", f" to {what}")


def poll(
    look: Callable[[], Answer], is_final: Callable[[Answer], object], waits: Sequence[float], why: str, context: Context
) -> Answer:
    """Return the first final answer, or the one after the last wait.

    Args:
        look: Gets an answer.
        is_final: Whether an answer ends the waiting.
        waits: Seconds between two looks.
        why: What every other answer means: "the index does not list hello-1.0.whl yet".
        context: Where the run happens.
    """
    for seconds in waits:
        if is_final(answer := look()):
            return answer
        _wait(context, seconds, why)
    return look()


def once_known(call: Callable[[], Answer], context: Context) -> Answer:
    """Return what `call` returns, as soon as the server knows a new repository.

    Raises:
        Failure: That of the call, after half a minute where the server still does not know the repository.
    """
    for seconds in LAG_WAITS:
        try:
            return call()
        except RegistryRefused as failure:
            if failure.anchor not in _NOT_KNOWN:
                raise
        _wait(context, seconds, "the new repository is not known everywhere yet")
    return call()


def _wait(context: Context, seconds: float, why: str, purpose: str = "") -> None:
    context.console.info(f"{why}; trying again in {seconds:.1f} s{purpose}")
    context.retry_policy.sleep(seconds)


def _unreachable(what: str, host: str, trouble: str, tries: int, seconds: float) -> Unreachable:
    times = f"{'once' if tries == 1 else f'{tries} times'} in {seconds:.0f} s"
    asked = f"asked {times}" if host in what else f"asked {host} {times}"
    if trouble.startswith("HTTP 429"):
        return Unreachable(
            f"Could not {what}: {host} is rate-limiting (429), asked {times}.",
            cause="this run or others in the same project have used up a quota",
            fix="wait some minutes and run it again, with fewer uploads at once: `jobs: 1`",
            anchor="quota",
            detail=trouble,
        )
    if _UNTRUSTED in trouble:
        return Unreachable(
            f"Could not {what}: the certificate of {host} is not trusted here.",
            cause="a proxy inspects TLS connections, and its certificate authority is not known here",
            fix=certificates.how_to_trust(),
            anchor="untrusted-certificate",
            detail=trouble,
        )
    if _PROXY_LOGIN in trouble:
        return Unreachable(
            f"Could not {what}: the proxy on the way to {host} wants a user name and a password (407).",
            fix="set HTTPS_PROXY to http://USER:PASSWORD@HOST:PORT, or NO_PROXY where no proxy is needed",
            anchor="proxy-login",
            detail=trouble,
        )
    if _NO_PROXY in trouble and _NO_TUNNEL not in trouble:
        return Unreachable(
            f"Could not {what}: the proxy on the way to {host} does not answer.",
            cause="the proxy's address is wrong, or the proxy is down",
            fix="correct HTTPS_PROXY, or add the host to NO_PROXY where no proxy is needed",
            anchor="proxy-down",
            detail=trouble,
        )
    if _NO_ADDRESS in trouble:
        return Unreachable(
            f"Could not {what}: the host name {host} cannot be resolved.",
            cause="this network's name server knows only its own hosts, and a proxy resolves the others; or this "
            "machine has no network",
            fix="set HTTPS_PROXY to http://HOST:PORT (in a workflow: `env:` of the step)",
            anchor="no-address",
            detail=trouble,
        )
    return Unreachable(
        f"Could not {what}: {asked}, without a proper answer.",
        cause="an outage, or a firewall or proxy between this machine and the server",
        fix="run the same command again later; https://status.cloud.google.com shows outages",
        anchor="unreachable",
        detail=trouble,
    )


def _impossible(what: str, error: requests.RequestException) -> Failure:
    """Return the failure of a request that would fail the same way the next time."""
    if isinstance(error, requests.TooManyRedirects):
        return RegistryRefused(
            f"Could not {what}: the server redirects in cycles.",
            cause="a proxy or a login page answers in the registry's place",
            fix="open the URL in a browser, and see where it leads",
            anchor="redirect",
        )
    return BadInput(
        f"Could not {what}: the request could not be made.",
        cause="a proxy, a certificate file or a URL is wrong",
        fix="check HTTPS_PROXY, REQUESTS_CA_BUNDLE and SSL_CERT_FILE, where they are set",
        anchor="request-impossible",
        detail="" if isinstance(error, ValueError) else str(error),  # a URL may contain a proxy's password
    )


def _retry_after(headers: Mapping[str, str]) -> float:
    """Return the seconds of a `Retry-After`, which may be a date (RFC 9110, section 10.2.3); at most 60."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), _LONGEST_RETRY_AFTER)
    try:
        # Both times are the server's: this machine's clock may be wrong.
        left = parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("Date", ""))
    except (ValueError, TypeError):
        return 0.0
    return min(max(left / timedelta(seconds=1), 0.0), _LONGEST_RETRY_AFTER)


def _describe(error: requests.RequestException) -> tuple[str, str]:
    """Return the host that was asked, and what went wrong there, without any URL or header."""
    host = host_of(error.request.url or "") if error.request is not None else "the server"
    if isinstance(error, requests.Timeout):
        return host, "no answer in time"
    inner = error.args[0] if error.args else error
    return host, _CONNECTION.sub("", str(getattr(inner, "reason", inner)))
