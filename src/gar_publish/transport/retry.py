"""The one retry policy."""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar

import requests

from gar_publish.context import RetryPolicy
from gar_publish.errors import BadInput, Failure, RegistryRefused, Unreachable
from gar_publish.urls import host_of

if TYPE_CHECKING:
    from tenacity import RetryCallState


RETRYABLE = frozenset({408, 429, 500, 502, 503, 504})
_LONGEST_ASKED = 60.0
_TRIES_OF_UNSOUND = 3
_CONNECTION = re.compile(r"^<?\w*Connection\w*\([^)]*\)>?: ")
_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
_PROXY_LOGIN = "Tunnel connection failed: 407"
_FINAL = (_UNTRUSTED, _PROXY_LOGIN)
"""Lost connections that will be lost again."""
_TRANSIENT = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)


class Unsound(requests.RequestException):
    """An answer that cannot be the right one, such as a proxy's: asked for again twice, then `failure` is raised."""

    def __init__(self, response: requests.Response, failure: Failure) -> None:
        super().__init__("an answer that makes no sense", response=response, request=response.request)
        self.failure = failure


def persist(
    call: Callable[[], requests.Response],
    *,
    retry_policy: RetryPolicy,
    what: str,
    on_wait: Callable[[str], None],
) -> requests.Response:
    """Make a request again and again until its answer is final: not a lost connection, 408, 429 or 5xx.

    Args:
        call: Makes the request once.
        retry_policy: How often, and for how long.
        what: What it is for, as a verb: "upload hello-1.0.whl".
        on_wait: Told one line before each wait.

    Raises:
        Unreachable: Out of patience.
        RegistryRefused: It is sent round in cycles.
        Failure: What an `Unsound` answer carries.
        BadInput: The request cannot be made at all.
    """
    import tenacity  # it brings asyncio along, which a run without requests does not need

    started = retry_policy.clock()
    unsound_answers = 0
    jitter = tenacity.wait_random_exponential(multiplier=retry_policy.first, max=retry_policy.longest)

    def attempt() -> requests.Response:
        nonlocal unsound_answers
        try:
            return call()
        except Unsound:
            unsound_answers += 1
            raise

    def wait(state: "RetryCallState") -> float:
        return max(jitter(state), _asked_wait(state))

    def enough(state: "RetryCallState") -> bool:
        late = retry_policy.clock() - started + state.upcoming_sleep > retry_policy.total
        return (
            state.attempt_number >= retry_policy.tries
            or (late and state.attempt_number >= retry_policy.least)
            or (unsound_answers >= _TRIES_OF_UNSOUND and _unsound(state) is not None)
            or any(words in _describe(state)[1] for words in _FINAL)
        )

    def announce(state: "RetryCallState") -> None:
        host, trouble = _describe(state)
        on_wait(f"{host}: {trouble}; trying again in {state.upcoming_sleep:.1f} s to {what}")

    def give_up(state: "RetryCallState") -> requests.Response:
        raise _failure(what, state, retry_policy.clock() - started)

    insisting = tenacity.Retrying(
        retry=_not_final,
        wait=wait,
        stop=enough,
        before_sleep=announce,
        retry_error_callback=give_up,
        sleep=retry_policy.sleep,
    )
    try:
        return insisting(attempt)
    except requests.RequestException as error:
        raise _impossible(what, error) from None


def _failure(what: str, state: "RetryCallState", seconds: float) -> Failure:
    """What is said after the last try."""
    if unsound := _unsound(state):
        return unsound.failure
    host, trouble = _describe(state)
    tries = "once" if state.attempt_number == 1 else f"{state.attempt_number} times"
    asked = f"asked {host} {tries} in {seconds:.0f} s, without a proper answer"
    if trouble.startswith("HTTP 429"):
        return Unreachable(
            f"Could not {what}: {host} takes no more requests for now, asked {tries} in {seconds:.0f} s.",
            cause="a quota is used up, by this run or by others in the same project",
            fix="wait some minutes and run it again, with fewer uploads at once: jobs: 1",
            anchor="quota",
            detail=trouble,
        )
    if _UNTRUSTED in trouble:
        return Unreachable(
            f"Could not {what}: {asked}.",
            cause="a proxy that opens TLS connections, whose certificate authority is not known here",
            fix="export REQUESTS_CA_BUNDLE=/path/to/ca.pem",
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
    return Unreachable(
        f"Could not {what}: {asked}.",
        cause="an outage, or a firewall or proxy between this machine and the server",
        fix="run the same command again later; https://status.cloud.google.com shows outages",
        anchor="unreachable",
        detail=trouble,
    )


def _impossible(what: str, error: requests.RequestException) -> Failure:
    """What is said of a request that was not made, or not to its end, and would fare the same the next time."""
    if isinstance(error, requests.TooManyRedirects):
        return RegistryRefused(
            f"Could not {what}: the server sends the request round in cycles.",
            cause="a proxy or a login page answers in the registry's place",
            fix="open the URL in a browser, and see where that leads",
            anchor="redirect",
        )
    return BadInput(
        f"Could not {what}: the request could not even be made.",
        cause="a proxy, a certificate file or an address that cannot be right",
        fix="check HTTPS_PROXY, REQUESTS_CA_BUNDLE and SSL_CERT_FILE, where they are set",
        anchor="request-impossible",
        detail="" if isinstance(error, ValueError) else str(error),  # a URL may hold a proxy's password
    )


def _not_final(state: "RetryCallState") -> bool:
    outcome = state.outcome
    if outcome is None:
        return False
    if error := outcome.exception():
        return isinstance(error, (*_TRANSIENT, Unsound))
    response: requests.Response = outcome.result()
    if response.status_code not in RETRYABLE:
        return False
    response.close()
    return True


def _unsound(state: "RetryCallState") -> Unsound | None:
    error = state.outcome.exception() if state.outcome else None
    return error if isinstance(error, Unsound) else None


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
        return host_of(response.url), f"HTTP {response.status_code} {response.reason or ''}".strip()
    request = getattr(error, "request", None)
    host = host_of(request.url) if request is not None else "the server"
    if isinstance(error, requests.Timeout):
        return host, "no answer in time"
    inner = error.args[0] if error.args else error
    return host, _CONNECTION.sub("", str(getattr(inner, "reason", inner)))


_WAITS = (0.5, 1, 2, 4, 8, 15)
"""Seconds between two tries while a new repository is not known everywhere; about 30 in all."""
_NOT_KNOWN = {"repository-missing", "registry-403"}
"""The anchors of what a server says that does not know a repository yet, or not who may use it."""

Answer = TypeVar("Answer")


def once_known(call: Callable[[], Answer], retry_policy: RetryPolicy, on_wait: Callable[[str], None]) -> Answer:
    """Use a new repository as soon as the server that is asked knows it.

    Raises:
        Failure: That of the call, after half a minute where the server still does not know it.
    """
    for seconds in _WAITS:
        try:
            return call()
        except RegistryRefused as failure:
            if failure.anchor not in _NOT_KNOWN:
                raise
        on_wait(f"the new repository is not known everywhere yet; trying again in {seconds} s")
        retry_policy.sleep(seconds)
    return call()
