import gzip
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from time import monotonic, process_time

import pytest
import requests
import urllib3

from gar_publish import __version__
from gar_publish.context import Context
from gar_publish.errors import BadInput
from gar_publish.transport.retry import with_retries
from gar_publish.transport.session import BODY_LIMIT, SLOWEST, chunks, is_success, new_session, release
from tests.unit.servers import Reply, ScriptedServer, serve


@pytest.fixture
def other() -> Iterator[ScriptedServer]:
    with serve() as server:
        yield server


class TestSession:
    def test_user_agent(self, server: ScriptedServer, session: requests.Session) -> None:
        session.get(server.url)
        assert server.seen[0].headers["User-Agent"] == f"gar-publish/{__version__}"

    def test_no_cookies_and_no_password_of_a_url(self, server: ScriptedServer, session: requests.Session) -> None:
        server.on("/", Reply(200, headers={"Set-Cookie": "a=b"}))
        for _ in range(2):
            session.get(server.url.replace("://", "://me:secret@"), headers={"X": "y", "user-agent": "another"})
        for seen in server.seen:
            assert "Cookie" not in seen.headers
            assert "Authorization" not in seen.headers
            assert (seen.headers["X"], seen.headers["User-Agent"]) == ("y", "another")

    def test_answers_are_utf_8(self, server: ScriptedServer, session: requests.Session) -> None:
        server.on("/", Reply(200, f'"{"ä" * 400_000}"', {"Content-Type": "application/json; charset=punycode"}))
        started = process_time()
        assert session.get(server.url).json() == "ä" * 400_000
        assert process_time() - started < 5

    @pytest.mark.parametrize("url", ["http://a..b/", "http://[::1/", f"https://{'a' * 70}.example/"])
    def test_only_exceptions_of_requests(self, url: str, session: requests.Session) -> None:
        with pytest.raises(requests.RequestException):
            session.get(url)

    @pytest.mark.parametrize("error", [ValueError("hunter2"), TypeError(), urllib3.exceptions.HTTPError()])
    def test_other_exceptions_are_malformed_urls(
        self, error: Exception, session: requests.Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def send(*_: object, **__: object) -> requests.Response:
            raise error

        monkeypatch.setattr(session, "send", send)
        with pytest.raises(requests.exceptions.InvalidURL, match=r"^a malformed URL$"):
            session.get("https://us-python.pkg.dev/")

    def test_an_error_of_the_system(self, session: requests.Session, monkeypatch: pytest.MonkeyPatch) -> None:
        def send(*_: object, **__: object) -> requests.Response:
            raise PermissionError("denied")

        monkeypatch.setattr(session, "send", send)
        with pytest.raises(requests.RequestException, match=r"^denied$"):
            session.get("https://us-python.pkg.dev/")

    def test_credentials_stay_within_one_origin(
        self, server: ScriptedServer, other: ScriptedServer, session: requests.Session
    ) -> None:
        server.on("/a", Reply(302, headers={"Location": "/b"}))
        server.on("/b", Reply(302, headers={"Location": other.url}))
        session.get(f"{server.url}/a", headers={"Authorization": "Bearer x"})
        assert [seen.headers["Authorization"] for seen in (*server.seen, *other.seen)] == ["Bearer x", "Bearer x", None]

    @pytest.mark.parametrize("coding", ["identity", "gzip"])
    def test_answers_are_bounded(self, coding: str, server: ScriptedServer, session: requests.Session) -> None:
        body = b"x" * (BODY_LIMIT + 1)
        body = gzip.compress(body) if coding == "gzip" else body
        server.on("/", Reply(200, body, headers={"Content-Encoding": coding}))
        server.on("/refused", Reply(403, body, headers={"Content-Encoding": coding}))
        with pytest.raises(requests.exceptions.ContentDecodingError, match="too long"):
            session.get(server.url)
        assert len(session.get(f"{server.url}/refused", stream=True).content) == BODY_LIMIT

    def test_a_refusal_whose_body_breaks_off(self, server: ScriptedServer, session: requests.Session) -> None:
        server.on("/", Reply(403, "no", cut=10))
        assert session.get(server.url).text == "no"

    def test_netrc_is_ignored(
        self,
        server: ScriptedServer,
        session: requests.Session,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login me password open-sesame\n")
        monkeypatch.setenv("NETRC", str(netrc))
        requests.get(server.url, timeout=5)
        session.get(server.url)
        assert server.seen[0].headers["Authorization"], "the test itself is wrong: netrc is not read at all"
        assert server.seen[1].headers["Authorization"] is None

    def test_netrc_is_ignored_after_a_redirect(
        self,
        server: ScriptedServer,
        other: ScriptedServer,
        session: requests.Session,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login me password open-sesame\n")
        monkeypatch.setenv("NETRC", str(netrc))
        server.on("/", Reply(302, headers={"Location": f"{other.url}/there"}))
        session.get(server.url)
        assert other.seen[0].path == "/there"
        assert other.seen[0].headers["Authorization"] is None

    def test_proxy_of_the_environment(
        self, server: ScriptedServer, session: requests.Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("http_proxy", server.url)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        server.on("http://registry.invalid/", Reply(200, "through the proxy"))
        assert session.get("http://registry.invalid/").text == "through the proxy"

    def test_loopback_needs_no_proxy(
        self, server: ScriptedServer, session: requests.Session, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert session.get(server.url).status_code == 404


def test_threads_share_a_session(server: ScriptedServer, session: requests.Session) -> None:
    server.on("/", Reply(200, "hello"))
    threads = [threading.Thread(target=session.get, args=(server.url,)) for _ in range(20)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(server.seen) == 20


def test_a_request_that_cannot_be_made(session: requests.Session, context: Context) -> None:
    proxies = {"https": "ftp://proxy.example"}
    with pytest.raises(BadInput, match="could not be made"):
        with_retries(lambda: session.get("https://us-python.pkg.dev/", proxies=proxies), context, "ask")


def test_limits() -> None:
    assert (BODY_LIMIT, SLOWEST) == (1024 * 1024, 10_000)


@pytest.mark.parametrize(("status", "success"), [(199, False), (200, True), (204, True), (299, True), (300, False)])
def test_is_success(status: int, success: bool) -> None:  # noqa: FBT001 - a table
    response = requests.Response()
    response.status_code = status
    assert is_success(response) is success


def test_the_longest_body(server: ScriptedServer, session: requests.Session) -> None:
    server.on("/", Reply(200, b"x" * BODY_LIMIT))
    assert len(session.get(server.url).content) == BODY_LIMIT


def test_a_stream_is_left_to_the_caller(server: ScriptedServer, session: requests.Session) -> None:
    body = b"x" * (BODY_LIMIT + 1)
    server.on("/", Reply(200, body))
    assert b"".join(chunks(session.get(server.url, stream=True), 5)) == body


def test_chunks_must_be_fast_on_average(
    server: ScriptedServer, session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first 5 seconds are free, and 1,000 bytes may take a tenth of a second more."""
    server.on("/", Reply(200, b"x" * 1000))
    response = session.get(server.url, stream=True)
    ends: list[float] = []

    def deadline(at: float, _: object) -> AbstractContextManager[None]:
        ends.append(at)
        return nullcontext()

    monkeypatch.setattr("gar_publish.transport.session.deadline", deadline)
    started = monotonic()
    assert len(b"".join(chunks(response, 5))) == 1000
    assert started + 5 <= ends[0] <= monotonic() + 5
    assert ends[-1] - ends[0] == pytest.approx(0.1)


@pytest.mark.parametrize(("size", "kept"), [(10, True), (64 * 1024 - 1, True), (64 * 1024, False)])
def test_release_keeps_the_connection_after_a_short_body(
    size: int,
    kept: bool,  # noqa: FBT001 - a table
    server: ScriptedServer,
    session: requests.Session,
) -> None:
    server.on("/", Reply(200, b"x" * size))
    ports = set()
    for _ in range(2):
        response = session.get(server.url, stream=True)
        ports.add(response.raw.connection.sock.getsockname())  # type: ignore[union-attr]
        release(response)
    assert len(ports) == (1 if kept else 2)


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/", "http://[::1"])
def test_a_redirect_that_is_no_url_is_the_answer(
    location: str, server: ScriptedServer, session: requests.Session
) -> None:
    server.on("/", Reply(302, "moved", headers={"Location": location}))
    response = session.get(server.url)
    assert (response.status_code, response.text) == (302, "moved")
    assert len(server.seen) == 1


def test_connections_are_kept_for_all_threads() -> None:
    with new_session() as session:
        assert session.get_adapter("https://us-python.pkg.dev/")._pool_maxsize == 32  # type: ignore[attr-defined] # private
