"""Checks that each host can be reached, and that the clocks agree."""

import math
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import partial
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

import requests
from requests.utils import select_proxy

from gar_publish import certificates
from gar_publish.doctor.case import Case, NotChecked
from gar_publish.errors import CredentialsFailure, Failure, Unreachable
from gar_publish.settings.credential import Federation, Key
from gar_publish.settings.index_url import redacted
from gar_publish.threads import in_background, result
from gar_publish.transport.retry import with_retries

PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
TOLERATED = 300
"""Seconds that a key's assertion may lie in the future (`docs/fidelity.md`)."""
_WORTH_SAYING = 30


def check_network(case: Case, facts: list[str]) -> None:
    """Check that each host that publishing needs sends an answer, whatever it is.

    Raises:
        BadInput: A variable names no usable file or folder of certificates.
        Unreachable: A host does not answer.
    """
    environment = case.context.environment
    facts += [f"{name} {_shown(environment[name])}" for name in PROXY_VARIABLES if environment.get(name)]
    facts += [f"{name} {environment[name]}" for name in ("NO_PROXY", "no_proxy") if environment.get(name)]
    certificates.check()
    asked = {name: in_background(partial(_ask, case, url)) for name, url in _hosts(case).items()}
    offsets: dict[str, float] = {}
    broken: Failure | None = None
    for name, pending in asked.items():
        try:
            way, offset = result(pending)
        except Unreachable as failure:
            if name == "artifactregistry.googleapis.com":  # not needed for uploads
                facts.append(f"{name}: does not answer; publishing works without it")
                continue
            facts.append(f"{name}: does not answer")
            broken = broken or failure
            continue
        facts.append(f"{name}: reachable{way}")
        if offset is not None:
            offsets[name] = offset
    if broken:
        raise broken
    case.clock_offsets = offsets


def check_clock(case: Case, facts: list[str]) -> None:
    """Check that this machine's clock agrees with that of the first server, a token service if there is one.

    Raises:
        CredentialsFailure: It does not, so that Google would refuse what a key signs.
    """
    if not case.clock_offsets:
        raise NotChecked("no server sent its time")
    host, seconds = next(iter(case.clock_offsets.items()))
    if abs(seconds) < _WORTH_SAYING:
        facts.append(f"within {math.ceil(abs(seconds)) or 1} s of {host}")
        return
    off = f"{abs(seconds):.0f} s {'behind' if seconds > 0 else 'ahead of'} {host}"
    facts.append(off)
    if abs(seconds) > TOLERATED and isinstance(case.credential, Key):
        raise CredentialsFailure(
            f"This machine's clock is {off}.",
            cause="a key signs this machine's time, and Google accepts a difference of five minutes at most",
            fix="synchronize the clock\n  sudo timedatectl set-ntp true",
            anchor="clock-skew",
        )
    if abs(seconds) > TOLERATED:
        facts.append("synchronize it by NTP: the expiry of tokens is misjudged")


def _hosts(case: Case) -> dict[str, str]:
    """Return a URL for each host that publishing needs, by host name; the token services first."""
    endpoints, credential = case.context.endpoints, case.credential
    urls: dict[str, str] = {}
    named: list[str] = []
    if isinstance(credential, Key):
        named.append("oauth2.googleapis.com")
    if isinstance(credential, Federation):
        named.append("sts.googleapis.com")
        if credential.service_account:
            named.append("iamcredentials.googleapis.com")
        parts = _parts(credential.request_url)
        urls[parts.hostname or ""] = f"{parts.scheme}://{parts.netloc}/"
    if case.target.resource:
        named += [f"{case.target.location}-python.pkg.dev", "artifactregistry.googleapis.com"]
    else:
        urls[urlsplit(case.target.index_url).hostname or ""] = case.target.index_url
    return {**{name: f"{endpoints.host(name)}/" for name in named}, **urls}


def _ask(case: Case, url: str) -> tuple[str, float | None]:
    """Return how a host is reached, and the seconds that its clock is ahead of ours.

    Raises:
        Unreachable: It sends no answer at all.
    """
    session = case.session
    proxy = select_proxy(url, session.merge_environment_settings(url, {}, None, None, None)["proxies"])
    answers: list[tuple[requests.Response, float]] = []

    def ask() -> requests.Response:
        before = case.machine.now()
        answer = session.get(url, allow_redirects=False)
        answers.append((answer, (before + (case.machine.now() - before) / 2).timestamp()))
        return answer

    try:
        with_retries(ask, case.context, f"reach {urlsplit(url).netloc}")
    except Unreachable as failure:
        if not answers:  # a server error is an answer; the check that needs the server reports it
            raise _explain_dns(failure, case, url, proxy) from None
    answer, at = answers[-1]
    return f" through the proxy {_shown(proxy)}" if proxy else "", _offset(answer, at)


def _explain_dns(failure: Failure, case: Case, url: str, proxy: str | None) -> Failure:
    host = _parts(proxy or url).hostname or ""
    try:
        ip_address(host)
    except ValueError:
        try:
            case.machine.resolve(host)
        except OSError as error:
            return Unreachable(
                f"The host name {host} cannot be resolved.",
                cause="the proxy's name is misspelt"
                if proxy
                else "this network's name server knows only its own hosts, and a proxy resolves the others",
                fix="set HTTPS_PROXY to http://HOST:PORT (in a workflow: `env:` of the step)",
                anchor="no-address",
                detail=str(error.strerror or ""),
            )
    return failure


def _offset(answer: requests.Response, at: float) -> float | None:
    """Return the seconds that a server's clock is ahead of ours; None if the answer may come from a cache."""
    if "Age" in answer.headers:
        return None
    try:
        # A date has whole seconds (RFC 9110, section 5.6.7): on average, half a second has passed since.
        return parsedate_to_datetime(answer.headers["Date"]).astimezone(UTC).timestamp() + 0.5 - at
    except (KeyError, TypeError, ValueError):
        return None


def _parts(url: str) -> SplitResult:
    """Return the parts of a URL, or empty ones if it is malformed: the request then fails and says why."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _shown(proxy: str) -> str:
    """Return a proxy's address without its password."""
    return redacted(proxy if "://" in proxy else f"http://{proxy}")
