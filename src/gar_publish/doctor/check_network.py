"""The links below all others: can each host be reached, and do the clocks agree?"""

import math
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import partial
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

import requests
from requests.utils import select_proxy

from gar_publish.doctor.case import Case, NotChecked
from gar_publish.errors import CredentialsFailure, Failure, Unreachable
from gar_publish.settings.credential import Federation, Key
from gar_publish.settings.index_url import shown
from gar_publish.threads import aside, result
from gar_publish.transport.retry import persist

PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
TOLERATED = 300
"""Seconds that a key's assertion may be in the future (`docs/fidelity.md`)."""
_WORTH_SAYING = 30


def check_network(case: Case, facts: list[str]) -> dict[str, float]:
    """Whether each host that publishing needs gives an answer, whatever it is.

    Returns:
        How many seconds each host's clock is ahead of ours, the token services first.

    Raises:
        Unreachable: One does not.
    """
    environment = case.context.environment
    facts += [f"{name} {_shown(environment[name])}" for name in PROXY_VARIABLES if environment.get(name)]
    facts += [f"{name} {environment[name]}" for name in ("NO_PROXY", "no_proxy") if environment.get(name)]
    asked = {name: aside(partial(_ask, case, url)) for name, url in _hosts(case).items()}
    ahead: dict[str, float] = {}
    broken: Failure | None = None
    for name, pending in asked.items():
        try:
            way, skew = result(pending)
        except Unreachable as failure:
            if name == "artifactregistry.googleapis.com":  # uploads do without
                facts.append(f"{name}: does not answer; publishing goes on without it")
                continue
            facts.append(f"{name}: does not answer")
            broken = broken or failure
            continue
        facts.append(f"{name}: answers, {way}")
        if skew is not None:
            ahead[name] = skew
    if broken:
        raise broken
    return ahead


def check_clock(case: Case, facts: list[str], ahead: Mapping[str, float]) -> None:
    """Whether this machine's clock is that of the servers.

    Raises:
        CredentialsFailure: It is not, and a key that signs its time would be refused.
    """
    if not ahead:
        raise NotChecked("no server said what time it is")
    host, seconds = next(iter(ahead.items()))
    if abs(seconds) < _WORTH_SAYING:
        facts.append(f"within {math.ceil(abs(seconds)) or 1} s of {host}")
        return
    off = f"{abs(seconds):.0f} s {'behind' if seconds > 0 else 'ahead of'} {host}"
    facts.append(off)
    if abs(seconds) > TOLERATED and isinstance(case.credential, Key):
        raise CredentialsFailure(
            f"This machine's clock is {off}.",
            cause="a key signs the time of this machine, and Google takes what is off by five minutes at most",
            fix="set the clock by NTP\n  sudo timedatectl set-ntp true",
            anchor="clock-skew",
        )
    if abs(seconds) > TOLERATED:
        facts.append("set it by NTP; tokens are taken for older or younger than they are")


def _hosts(case: Case) -> dict[str, str]:
    """The hosts that publishing needs, by name, with a URL of each; the token services first."""
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
    """How a host is reached, and how many seconds its clock is ahead.

    Raises:
        Unreachable: It gives no answer at all.
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
        persist(
            ask, retry_policy=case.context.retry_policy, what=f"reach {urlsplit(url).netloc}", on_wait=lambda _: None
        )
    except Unreachable as failure:
        if not answers:  # else it is there, and out of order: that, the link which needs it will tell
            raise _explained(failure, case, url, proxy) from None
    answer, at = answers[-1]
    way = f"HTTP {answer.status_code}" + (f" through the proxy {_shown(proxy)}" if proxy else "")
    return way, _ahead(answer, at)


def _explained(failure: Failure, case: Case, url: str, proxy: str | None) -> Failure:
    host = _parts(proxy or url).hostname or ""
    try:
        ip_address(host)
    except ValueError:
        try:
            case.machine.resolve(host)
        except OSError as error:
            return Unreachable(
                f"{host} has no address here.",
                cause="the proxy's name is misspelt"
                if proxy
                else "this network's name server does not know the host; behind a firewall, only a proxy may",
                fix="set HTTPS_PROXY to the proxy of this network, as http://HOST:PORT",
                anchor="no-address",
                detail=str(error.strerror or ""),
            )
    return failure


def _ahead(answer: requests.Response, at: float) -> float | None:
    """How far a server's clock is ahead of ours, in seconds; None for an answer that a cache may have kept."""
    if "Age" in answer.headers:
        return None
    try:
        # A date has whole seconds (RFC 9110, section 5.6.7): on average, half a one has passed since.
        return parsedate_to_datetime(answer.headers["Date"]).astimezone(UTC).timestamp() + 0.5 - at
    except (KeyError, TypeError, ValueError):
        return None


def _parts(url: str) -> SplitResult:
    """Those of nothing where it is no URL: asking there fails, and tells why."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _shown(proxy: str) -> str:
    """A proxy's address without its password."""
    return shown(proxy if "://" in proxy else f"http://{proxy}")
