from collections.abc import Callable
from dataclasses import replace

import pytest
import requests

from gar_publish.context import Context
from gar_publish.errors import BadInput, RegistryRefused, Unreachable
from gar_publish.transport.retry import UnusableAnswer, once_known, with_retries
from tests.unit.servers import Memory, Reply, ScriptedServer, Time


class TestWithRetries:
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

    def test_a_quota_that_stays_used_up(self, server: ScriptedServer, ask: Callable[[], requests.Response]) -> None:
        server.on("/", Reply(429))
        with pytest.raises(Unreachable, match="is rate-limiting") as caught:
            ask()
        assert caught.value.anchor == "quota"

    def test_nobody_listens(self, session: requests.Session, context: Context, time: Time) -> None:
        with pytest.raises(Unreachable) as caught:
            with_retries(lambda: session.get("http://127.0.0.1:1/path?secret=x"), context, "upload hello.whl")
        failure = caught.value
        assert failure.exit_code == 7
        assert failure.what.startswith("Could not upload hello.whl: asked 127.0.0.1:1 6 times in ")
        assert "Connection refused" in failure.detail
        assert "secret" not in failure.explain()
        assert len(time.slept) == 5

    def test_an_answer_without_sense_is_asked_for_three_times(
        self, server: ScriptedServer, session: requests.Session, context: Context, time: Time
    ) -> None:
        failure = RegistryRefused("no index", anchor="not-an-index")

        def call() -> requests.Response:
            raise UnusableAnswer(session.get(server.url), failure)

        with pytest.raises(RegistryRefused, match="no index"):
            with_retries(call, context, "look")
        assert (len(server.seen), len(time.slept)) == (3, 2)

    def test_an_answer_without_sense_after_other_faults_is_one_of_three(
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

    def test_waits_double_with_full_jitter(
        self, server: ScriptedServer, session: requests.Session, context: Context, time: Time
    ) -> None:
        server.on("/", Reply(503))
        policy = replace(context.retry_policy, tries=7, longest=8.0, total=1e9)
        for _ in range(20):
            with pytest.raises(Unreachable):
                with_retries(lambda: session.get(server.url), replace(context, retry_policy=policy), "look")
        rounds = list(zip(*[iter(time.slept)] * 6, strict=True))
        assert len(rounds) == 20
        for bound, waits in zip((1, 2, 4, 8, 8, 8), zip(*rounds, strict=True), strict=True):
            assert max(waits) <= bound
            assert max(waits) > bound / 2, "20 draws over the whole range"
            assert min(waits) < bound / 2, "20 draws over the whole range"

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({"Retry-After": "33"}, 33),
            ({"Retry-After": "100000"}, 60),
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
            {"Retry-After": "-5"},
            {"Retry-After": "Sun, 22 Nov 2026 12:00:44 GMT"},
            {"Date": "Sun, 22 Nov 2026 12:00:00 GMT", "Retry-After": "Sun, 22 Nov 2020 12:00:00 GMT"},
            {"Date": "Sun, 22 Nov 2026 12:00:00 GMT", "Retry-After": "Sun, 22 Nov 2026 12:00:44"},
        ],
    )
    def test_senseless_retry_after(
        self,
        headers: dict[str, str],
        server: ScriptedServer,
        ask: Callable[[], requests.Response],
        time: Time,
    ) -> None:
        server.on("/", Reply(503, headers=headers), Reply(200))
        ask()
        assert 0 <= time.slept[0] <= 1

    def test_what_takes_long_is_tried_three_times(
        self, server: ScriptedServer, session: requests.Session, context: Context, time: Time
    ) -> None:
        server.on("/", Reply(drop=True))

        def upload() -> requests.Response:
            time.now += 600
            return session.get(server.url)

        with pytest.raises(Unreachable, match="3 times in 18"):
            with_retries(upload, context, "upload")

    def test_a_proxy_that_wants_a_password_is_asked_once(
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
    def test_a_proxy_that_cannot_be_one_is_said_without_its_password(
        self, proxy: str, session: requests.Session, context: Context
    ) -> None:
        with pytest.raises((BadInput, Unreachable)) as caught:
            with_retries(lambda: session.get("https://us-python.pkg.dev/", proxies={"https": proxy}), context, "look")
        assert "hunter" not in caught.value.explain()

    def test_bounded_in_all(self, server: ScriptedServer, ask: Callable[[], requests.Response], time: Time) -> None:
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


def test_a_new_repository_gets_some_time(context: Context, time: Time) -> None:
    call = failing("repository-missing", "registry-403")
    assert once_known(call, context) == "done"
    assert time.slept == [0.5, 1]


def test_but_not_for_ever(context: Context, time: Time) -> None:
    with pytest.raises(RegistryRefused):
        once_known(failing(*["registry-403"] * 9), context)
    assert sum(time.slept) == pytest.approx(30.5)


def test_and_not_for_anything_else(context: Context, time: Time) -> None:
    with pytest.raises(RegistryRefused):
        once_known(failing("registry-refused"), context)
    assert time.slept == []
