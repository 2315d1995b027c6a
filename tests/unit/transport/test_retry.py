from collections.abc import Callable
from dataclasses import replace

import pytest
import requests

from gar_publish import certificates
from gar_publish.context import Context
from gar_publish.errors import BadInput, Failure, RegistryRefused, Unreachable
from gar_publish.transport import retry
from gar_publish.transport.retry import UnusableAnswer, once_known, poll, with_retries
from tests.unit.servers import Memory, Reply, ScriptedServer, Time


def fields(failure: Failure) -> tuple[str, ...]:
    return failure.what, failure.cause, failure.fix, failure.anchor, failure.detail


class TestWithRetries:
    @pytest.fixture
    def full_waits(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float]]:
        """Wait as long as the jitter allows, and return the bounds of each wait."""
        bounds: list[tuple[float, float]] = []

        def uniform(lowest: float, highest: float) -> float:
            bounds.append((lowest, highest))
            return highest

        monkeypatch.setattr("random.uniform", uniform)
        return bounds

    @pytest.fixture
    def ask(
        self, server: ScriptedServer, session: requests.Session, context: Context
    ) -> Callable[[], requests.Response]:
        return lambda: with_retries(lambda: session.get(server.url), context, "look")

    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
    def test_transient_status(
        self, status: int, server: ScriptedServer, session: requests.Session, context: Context, console: Memory
    ) -> None:
        server.on("/", Reply(status), Reply(status), Reply(200, "at last"))
        response = with_retries(lambda: session.get(server.url), context, "look")
        assert response.text == "at last"
        waits = console.said
        assert len(waits) == 2
        host = server.url.removeprefix("http://")
        assert waits[0].startswith(f"{host}: HTTP {status}")
        assert waits[0].endswith(" s to look")

    @pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 409, 413, 501])
    def test_final_status(self, status: int, server: ScriptedServer, ask: Callable[[], requests.Response]) -> None:
        server.on("/", Reply(status), Reply(418))
        response = ask()
        assert response.status_code == status

    @pytest.mark.parametrize(
        "fault",
        [
            Reply(drop=True),
            Reply(200, "half", cut=4),
            Reply(200, "no gzip", headers={"Content-Encoding": "gzip"}),
        ],
        ids=["dropped", "cut", "garbled"],
    )
    def test_transient_fault(self, fault: Reply, server: ScriptedServer, ask: Callable[[], requests.Response]) -> None:
        server.on("/", fault, Reply(200, "whole"))
        response = ask()
        assert response.text == "whole"

    @pytest.mark.parametrize(
        ("answer", "failure"),
        [
            (
                Reply(429),
                (
                    "Could not look: HOST is rate-limiting (429), asked 6 times in 31 s.",
                    "this run or others in the same project have used up a quota",
                    "wait some minutes and run it again, with fewer uploads at once: `jobs: 1`",
                    "quota",
                    "HTTP 429 Too Many Requests",
                ),
            ),
            (
                Reply(503),
                (
                    "Could not look: asked HOST 6 times in 31 s, without a proper answer.",
                    "an outage, or a firewall or proxy between this machine and the server",
                    "run the same command again later; https://status.cloud.google.com shows outages",
                    "unreachable",
                    "HTTP 503 Service Unavailable",
                ),
            ),
            (
                Reply(307, headers={"Location": "/"}),
                (
                    "Could not look: the server redirects in cycles.",
                    "a proxy or a login page answers in the registry's place",
                    "open the URL in a browser, and see where it leads",
                    "redirect",
                    "",
                ),
            ),
        ],
        ids=["quota", "outage", "redirects"],
    )
    def test_failures(
        self,
        answer: Reply,
        failure: tuple[str, ...],
        server: ScriptedServer,
        ask: Callable[[], requests.Response],
        full_waits: list[tuple[float, float]],
    ) -> None:
        server.on("/", answer)
        with pytest.raises((Unreachable, RegistryRefused)) as caught:
            ask()
        assert fields(caught.value) == tuple(part.replace("HOST", server.url[7:]) for part in failure)
        assert all(lowest == 0 for lowest, _ in full_waits)

    @pytest.mark.parametrize(
        ("error", "failure"),
        [
            (
                requests.exceptions.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"),
                (
                    "Could not look: the certificate of the server is not trusted here.",
                    "a proxy inspects TLS connections, and its certificate authority is not known here",
                    certificates.how_to_trust(),
                    "untrusted-certificate",
                    "[SSL: CERTIFICATE_VERIFY_FAILED] self-signed",
                ),
            ),
            (
                requests.exceptions.ProxyError("Tunnel connection failed: 407 Proxy Authentication Required"),
                (
                    "Could not look: the proxy on the way to the server wants a user name and a password (407).",
                    "",
                    "set HTTPS_PROXY to http://USER:PASSWORD@HOST:PORT, or NO_PROXY where no proxy is needed",
                    "proxy-login",
                    "Tunnel connection failed: 407 Proxy Authentication Required",
                ),
            ),
            (
                requests.RequestException("a broken proxy"),
                (
                    "Could not look: the request could not be made.",
                    "a proxy, a certificate file or a URL is wrong",
                    "check HTTPS_PROXY, REQUESTS_CA_BUNDLE and SSL_CERT_FILE, where they are set",
                    "request-impossible",
                    "a broken proxy",
                ),
            ),
        ],
        ids=["certificate", "proxy", "impossible"],
    )
    def test_failures_without_a_second_try(
        self, error: Exception, failure: tuple[str, ...], context: Context, time: Time
    ) -> None:
        def call() -> requests.Response:
            raise error

        with pytest.raises((Unreachable, BadInput)) as caught:
            with_retries(call, context, "look")
        assert fields(caught.value) == failure
        assert time.slept == []

    def test_the_details_of_a_malformed_url_are_not_shown(self, context: Context) -> None:
        def call() -> requests.Response:
            raise requests.exceptions.InvalidURL("http://me:hunter2@")

        with pytest.raises(BadInput) as caught:
            with_retries(call, context, "look")
        assert caught.value.detail == ""

    def test_a_refused_connection(self, session: requests.Session, context: Context, time: Time) -> None:
        with pytest.raises(Unreachable) as caught:
            with_retries(lambda: session.get("http://127.0.0.1:1/path?secret=x"), context, "upload hello.whl")
        failure = caught.value
        assert failure.exit_code == 7
        assert failure.what.startswith("Could not upload hello.whl: asked 127.0.0.1:1 6 times in ")
        assert failure.detail == "Failed to establish a new connection: [Errno 111] Connection refused"
        assert len(time.slept) == 5

    def test_a_host_is_named_once(self, session: requests.Session, context: Context) -> None:
        with pytest.raises(Unreachable, match=r"^Could not reach 127\.0\.0\.1:1: asked 6 times in "):
            with_retries(lambda: session.get("http://127.0.0.1:1/"), context, "reach 127.0.0.1:1")

    def test_a_slow_answer_is_named(self, context: Context, console: Memory) -> None:
        answers = iter([requests.Timeout(), requests.ConnectionError("refused", "more"), None])

        def call() -> requests.Response:
            if error := next(answers):
                raise error
            return requests.models.Response()

        with_retries(call, replace(context, retry_policy=replace(context.retry_policy, first=0)), "look")
        assert console.said == [
            "the server: no answer in time; trying again in 0.0 s to look",
            "the server: refused; trying again in 0.0 s to look",
        ]

    def test_an_unusable_answer_is_asked_for_three_times(
        self, server: ScriptedServer, session: requests.Session, context: Context, time: Time
    ) -> None:
        failure = RegistryRefused("no index", anchor="not-an-index")

        def call() -> requests.Response:
            raise UnusableAnswer(session.get(server.url), failure)

        with pytest.raises(RegistryRefused, match="no index"):
            with_retries(call, context, "look")
        assert (len(server.seen), len(time.slept)) == (3, 2)

    def test_other_faults_do_not_count_as_unusable_answers(
        self, server: ScriptedServer, session: requests.Session, context: Context, time: Time
    ) -> None:
        server.on("/", Reply(503), Reply(drop=True), Reply(200, "garbage"), Reply(200, "sense"))

        def call() -> requests.Response:
            response = session.get(server.url)
            if response.text == "garbage":
                raise UnusableAnswer(response, RegistryRefused("no index", anchor="not-an-index"))
            return response

        assert with_retries(call, context, "look").text == "sense"
        assert len(time.slept) == 3

    def test_other_exceptions_pass(self, context: Context) -> None:
        def call() -> requests.Response:
            raise KeyError("bug")

        with pytest.raises(KeyError):
            with_retries(call, context, "look")

    def test_waits_double_up_to_the_longest(
        self,
        server: ScriptedServer,
        session: requests.Session,
        context: Context,
        time: Time,
        full_waits: list[tuple[float, float]],
    ) -> None:
        server.on("/", Reply(503))
        policy = replace(context.retry_policy, tries=7, longest=8.0, total=1e9)
        with pytest.raises(Unreachable):
            with_retries(lambda: session.get(server.url), replace(context, retry_policy=policy), "look")
        assert full_waits == [(0, 1), (0, 2), (0, 4), (0, 8), (0, 8), (0, 8), (0, 8)]
        assert time.slept == [1, 2, 4, 8, 8, 8]

    @pytest.mark.parametrize(("total", "tries"), [(31.0, 6), (30.9, 5), (6.9, 3), (0.0, 3)])
    @pytest.mark.usefixtures("full_waits")
    def test_the_time_in_all_is_bounded(
        self, total: float, tries: int, server: ScriptedServer, session: requests.Session, context: Context
    ) -> None:
        server.on("/", Reply(503))
        policy = replace(context.retry_policy, total=total)
        with pytest.raises(Unreachable):
            with_retries(lambda: session.get(server.url), replace(context, retry_policy=policy), "look")
        assert len(server.seen) == tries

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({"Retry-After": "33"}, 33),
            ({"Retry-After": " 33 "}, 33),
            ({"Retry-After": "100000"}, 60),
            (
                {"Date": "Sun, 22 Nov 2026 12:00:00 GMT", "Retry-After": "Mon, 23 Nov 2026 12:00:00 GMT"},
                60,
            ),
            (
                {
                    "Date": "Sun, 22 Nov 2026 12:00:00 GMT",
                    "Retry-After": "Sun, 22 Nov 2026 12:00:44 GMT",
                },
                44,
            ),
        ],
    )
    def test_retry_after(
        self,
        headers: dict[str, str],
        seconds: float,
        server: ScriptedServer,
        ask: Callable[[], requests.Response],
        time: Time,
    ) -> None:
        server.on("/", Reply(429, headers=headers), Reply(200))
        ask()
        assert time.slept == [seconds]

    @pytest.mark.parametrize(
        "headers",
        [
            {"Retry-After": "soon"},
            {"Retry-After": "²"},
            {"Retry-After": "-5"},
            {"Retry-After": "Sun, 22 Nov 2026 12:00:44 GMT"},
            {"Date": "Sun, 22 Nov 2026 12:00:00 GMT", "Retry-After": "Sun, 22 Nov 2020 12:00:00 GMT"},
            {"Date": "Sun, 22 Nov 2026 12:00:00 GMT", "Retry-After": "Sun, 22 Nov 2026 12:00:44"},
        ],
    )
    def test_a_malformed_retry_after_is_ignored(
        self,
        headers: dict[str, str],
        server: ScriptedServer,
        ask: Callable[[], requests.Response],
        time: Time,
    ) -> None:
        server.on("/", Reply(503, headers=headers), Reply(200))
        ask()
        assert 0 <= time.slept[0] <= 1

    def test_slow_requests_are_tried_three_times(
        self, server: ScriptedServer, session: requests.Session, context: Context, time: Time
    ) -> None:
        server.on("/", Reply(drop=True))

        def upload() -> requests.Response:
            time.now += 600
            return session.get(server.url)

        with pytest.raises(Unreachable, match="3 times in 18"):
            with_retries(upload, context, "upload")

    def test_a_proxy_that_asks_for_a_password_is_asked_once(
        self, server: ScriptedServer, session: requests.Session, context: Context
    ) -> None:
        server.on("us-python", Reply(407, headers={"Proxy-Authenticate": "Basic"}))
        proxies = {"https": server.url}

        def call() -> requests.Response:
            return session.get("https://us-python.pkg.dev/", proxies=proxies)

        with pytest.raises(Unreachable, match="wants a user name and a password") as caught:
            with_retries(call, context, "look")
        assert caught.value.anchor == "proxy-login"
        assert len(server.seen) == 1

    @pytest.mark.parametrize(
        "proxy", ["http://me:hunter/2@proxy.example:1", "http://me:hunter2@", "http://me:hunter2@a..b:1"]
    )
    def test_a_malformed_proxy_is_shown_without_its_password(
        self, proxy: str, session: requests.Session, context: Context
    ) -> None:
        with pytest.raises((BadInput, Unreachable)) as caught:
            with_retries(lambda: session.get("https://us-python.pkg.dev/", proxies={"https": proxy}), context, "look")
        assert "hunter" not in caught.value.explain()

    def test_retry_after_counts(self, server: ScriptedServer, ask: Callable[[], requests.Response], time: Time) -> None:
        server.on("/", Reply(503, headers={"Retry-After": "50"}))
        with pytest.raises(Unreachable, match="3 times in 100 s"):
            ask()
        assert time.slept == [50, 50]


def failing(*anchors: str) -> Callable[[], str]:
    rest = iter(anchors)

    def call() -> str:
        for anchor in rest:
            raise RegistryRefused("no", anchor=anchor)
        return "done"

    return call


def test_once_known_waits_for_a_new_repository(context: Context, time: Time, console: Memory) -> None:
    call = failing("repository-missing", "registry-403")
    assert once_known(call, context) == "done"
    assert time.slept == [0.5, 1]
    assert console.said[0] == "the new repository is not known everywhere yet; trying again in 0.5 s"


def test_once_known_gives_up_after_half_a_minute(context: Context, time: Time) -> None:
    with pytest.raises(RegistryRefused):
        once_known(failing(*["registry-403"] * 9), context)
    assert sum(time.slept) == pytest.approx(30.5)


def test_once_known_does_not_wait_for_other_failures(context: Context, time: Time) -> None:
    with pytest.raises(RegistryRefused):
        once_known(failing("registry-refused"), context)
    assert time.slept == []


def test_poll(context: Context, time: Time, console: Memory) -> None:
    answers = iter(range(9))
    assert poll(lambda: next(answers), lambda answer: answer == 2, (1, 2, 3), "not yet", context) == 2
    assert time.slept == [1, 2]
    assert console.said == ["not yet; trying again in 1.0 s", "not yet; trying again in 2.0 s"]
    assert poll(lambda: next(answers), lambda _: False, (4,), "not yet", context) == 4
    assert time.slept == [1, 2, 4]


@pytest.mark.parametrize("value", ["", "soon", "²", "-1"])
def test_a_retry_after_that_means_nothing_asks_for_no_wait(value: str) -> None:
    assert retry._retry_after({"Retry-After": value}) == 0
