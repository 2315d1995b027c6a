import hashlib
from pathlib import Path

import pytest

from gar_publish.auth.tokens import GivenSource
from gar_publish.context import RetryPolicy
from gar_publish.errors import CredentialsFailure, RegistryRefused, Unreachable
from gar_publish.registry.index import Index, IndexFile
from gar_publish.transport.session import new_session
from tests.unit.servers import Reply, ScriptedServer, Time, serve

SHA = "ab" * 32


def open_index(server: ScriptedServer) -> Index:
    time = Time()
    return Index(
        f"{server.url}/simple/",
        session=new_session(),
        source=GivenSource("ya29.given"),
        retry_policy=RetryPolicy(tries=3, sleep=time.sleep, clock=time.clock),
        on_wait=lambda _: None,
    )


def test_the_index_is_asked_with_the_token(server: ScriptedServer) -> None:
    server.on("/simple/sample/", Reply(200, f'<a href="/f/sample-1.0.tar.gz#sha256={SHA}">'))
    assert open_index(server).files("sample")["sample-1.0.tar.gz"].sha256 == SHA
    assert server.seen[0].headers["Authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    "strange",
    [
        Reply(200, b"\xff\xfe\x00garbage", {"Content-Type": "text/html"}),
        Reply(200, "<a>", {"Content-Type": "image/png"}),
        Reply(200, "[]", {"Content-Type": "application/json"}),
    ],
    ids=["bytes", "image", "other JSON"],
)
def test_a_page_that_is_no_index_is_asked_for_again(server: ScriptedServer, strange: Reply) -> None:
    good = Reply(200, '<a href="/f/sample-1.0.tar.gz">', {"Content-Type": "text/html; charset=utf-8"})
    server.on("/simple/sample/", strange, strange, good)
    assert list(open_index(server).files("sample")) == ["sample-1.0.tar.gz"]
    server.on("/simple/other/", strange)
    with pytest.raises(RegistryRefused) as caught:
        open_index(server).files("other")
    assert caught.value.anchor == "not-an-index"


@pytest.mark.parametrize(
    ("bodies", "last"),
    [(["right"], "right"), (["wrong", "right"], "right"), (["wrong", "wrong"], "wrong"), (["a", "b", "c"], "c")],
)
def test_other_bytes_than_expected_are_read_again(server: ScriptedServer, bodies: list[str], last: str) -> None:
    server.on("/sample.whl", *(Reply(200, body) for body in bodies))
    file = IndexFile("sample.whl", f"{server.url}/sample.whl", None)
    expected = hashlib.sha256(b"right").hexdigest()
    assert open_index(server).read_sha256(file, expected) == hashlib.sha256(last.encode()).hexdigest()
    assert len(server.seen) == len(bodies)


def test_an_unknown_project_has_no_files(server: ScriptedServer) -> None:
    assert open_index(server).files("sample") == {}


@pytest.mark.parametrize(
    ("status", "kind"), [(401, CredentialsFailure), (403, RegistryRefused), (418, RegistryRefused)]
)
def test_a_refusal_keeps_the_servers_words(server: ScriptedServer, status: int, kind: type[Exception]) -> None:
    server.on("/simple/", Reply(status, "<html><body><h1>No</h1>\x1b[31mway</body></html>"))
    with pytest.raises(kind) as caught:
        open_index(server).files("sample")
    assert getattr(caught.value, "detail", None) == "No [31mway"


def test_a_fault_that_passes_is_come_through(server: ScriptedServer) -> None:
    server.on("/simple/", Reply(503), Reply(drop=True), Reply(200, "<html>"))
    assert open_index(server).files("sample") == {}


def test_a_fault_that_stays_is_said(server: ScriptedServer) -> None:
    server.on("/simple/", Reply(502))
    with pytest.raises(Unreachable, match="look up sample"):
        open_index(server).files("sample")


def test_a_listed_file_that_is_not_handed_out_yet_is_waited_for(server: ScriptedServer) -> None:
    server.on("/f/a.whl", Reply(404), Reply(404), Reply(200, b"bytes"))
    file = IndexFile("a.whl", f"{server.url}/f/a.whl", None)
    assert open_index(server).read_sha256(file) == hashlib.sha256(b"bytes").hexdigest()


def test_a_file_is_read_back_and_hashed(server: ScriptedServer) -> None:
    server.on("/f/a.whl", Reply(200, b"bytes"))
    file = IndexFile("a.whl", f"{server.url}/f/a.whl", None)
    assert open_index(server).read_sha256(file) == hashlib.sha256(b"bytes").hexdigest()


def test_a_copy_is_kept_of_what_came_in_the_end(server: ScriptedServer, tmp_path: Path) -> None:
    server.on("/f/a.whl", Reply(200, b"bytes and m", cut=3), Reply(200, b"other bytes and more"), Reply(200, b"bytes"))
    sha256 = hashlib.sha256(b"bytes").hexdigest()
    file = IndexFile("a.whl", f"{server.url}/f/a.whl", sha256)
    assert open_index(server).read_sha256(file, copy=tmp_path / "a.whl") == sha256
    assert (tmp_path / "a.whl").read_bytes() == b"bytes"
    with pytest.raises(FileNotFoundError):
        open_index(server).read_sha256(file, copy=tmp_path / "nowhere" / "a.whl")


def test_a_file_without_end_is_given_up(server: ScriptedServer) -> None:
    server.on("/f/a.whl", Reply(200, b"x" * 1000))
    file = IndexFile("a.whl", f"{server.url}/f/a.whl", None)
    assert open_index(server).read_sha256(file, "ab" * 32, size=999) == ""
    assert open_index(server).read_sha256(file, size=1000) == hashlib.sha256(b"x" * 1000).hexdigest()


def test_every_wait_is_said(server: ScriptedServer) -> None:
    said: list[str] = []
    time = Time()
    index = Index(
        f"{server.url}/simple/",
        session=new_session(),
        source=GivenSource("ya29.given"),
        retry_policy=RetryPolicy(tries=3, sleep=time.sleep, clock=time.clock),
        on_wait=said.append,
    )
    assert index.find("sample", "a.whl") is None
    with pytest.raises(RegistryRefused):
        index.read_sha256(IndexFile("a.whl", f"{server.url}/f/a.whl", None))
    assert len(said) == len(time.slept) == 12
    assert said[0] == "the index does not list a.whl yet; looking again in 0.5 s"
    assert said[-1] == "the index does not hand out a.whl yet; looking again in 15.0 s"


@pytest.mark.parametrize("location", ["/\xff", "http://127.0.0.1:99999/", "http://[::1", "http://a..b/", "ftp://a/"])
def test_a_redirect_that_leads_nowhere(server: ScriptedServer, location: str) -> None:
    server.on("/simple/", Reply(302, headers={"Location": location}))
    with pytest.raises(RegistryRefused) as caught:
        open_index(server).files("sample")
    assert caught.value.anchor == "redirect"


def test_redirects_without_end(server: ScriptedServer) -> None:
    server.on("/simple/", Reply(302, headers={"Location": "/simple/sample/"}))
    with pytest.raises(RegistryRefused, match="round in cycles"):
        open_index(server).files("sample")


def test_no_token_goes_to_another_host(server: ScriptedServer) -> None:
    with serve() as other:
        other.on("/a.whl", Reply(200, b"bytes"))
        open_index(server).read_sha256(IndexFile("a.whl", f"{other.url}/a.whl", None))
        assert other.seen[0].headers["Authorization"] is None


def test_a_body_that_breaks_off_is_asked_for_again(server: ScriptedServer) -> None:
    file = IndexFile("a.whl", f"{server.url}/f/a.whl", None)
    server.on("/f/a.whl", Reply(200, b"by", cut=3), Reply(200, b"bytes"))
    assert open_index(server).read_sha256(file) == hashlib.sha256(b"bytes").hexdigest()
    server.on("/simple/", Reply(200, b"<a", cut=3), Reply(200, b"<html>"))
    assert open_index(server).files("sample") == {}
