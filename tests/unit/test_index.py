import hashlib
import json
import time
from pathlib import Path

import pytest

from gar_publish.credentials.source import GivenSource
from gar_publish.errors import CredentialsFailure, RegistryRefused, Unreachable
from gar_publish.http import new_session
from gar_publish.index import Index, IndexFile, parse_html, parse_json
from gar_publish.patience import Patience
from tests.unit.servers import Reply, ScriptedServer, Time, serve

URL = "https://us-python.pkg.dev/p/r/simple/sample/"
SHA = "ab" * 32


def open_index(server: ScriptedServer) -> Index:
    time = Time()
    return Index(
        f"{server.url}/simple/",
        session=new_session(),
        source=GivenSource("ya29.given"),
        patience=Patience(tries=3, sleep=time.sleep, clock=time.clock),
        on_wait=lambda _: None,
    )


def test_links_of_a_page_become_files() -> None:
    page = f"""<!DOCTYPE html><a href="../../sample/sample-1.0-py3-none-any.whl#sha256={SHA}">x</a>
    <a href="https://elsewhere.example/sample-1.0.tar.gz">y</a><a name="nothing">z</a>
    <a href="sample-1.0%2Blocal-py3-none-any.whl#md5=1">w</a>""".encode()
    assert parse_html(page, URL) == {
        "sample-1.0-py3-none-any.whl": IndexFile(
            "sample-1.0-py3-none-any.whl", "https://us-python.pkg.dev/p/r/sample/sample-1.0-py3-none-any.whl", SHA
        ),
        "sample-1.0.tar.gz": IndexFile("sample-1.0.tar.gz", "https://elsewhere.example/sample-1.0.tar.gz", None),
        "sample-1.0+local-py3-none-any.whl": IndexFile(
            "sample-1.0+local-py3-none-any.whl", f"{URL}sample-1.0%2Blocal-py3-none-any.whl", None
        ),
    }


@pytest.mark.parametrize(
    "link",
    [
        "<A HREF='a.whl'>",
        "<a\nhref = a.whl >",
        """<a data-requires-python=">=3.11" href="a.whl" data-yanked>""",
        """<a title="it's > that" HREF="a.whl">""",
        """<a title="href='b.whl'" href="&#97;.whl">""",
        "<!-- <a href=b.whl> --><a href=a.whl>",
        "<a href=b.whl <a href='a.whl'>",
        f"<a href='{'b' * 9000}.whl'><a href=a.whl><a href='https://[b.whl'><a href='b\x00.whl'>",
        f"<a href='b.whl&#{'9' * 4400};\x1b'><a href=a.whl><![broken<!-- <a href='b.whl'>",
    ],
)
def test_a_link_however_it_is_written(link: str) -> None:
    assert list(parse_html(link.encode(), URL)) == ["a.whl"]


@pytest.mark.parametrize(
    "piece",
    [
        "<a",
        "<a ",
        "<a '",
        '<a "',
        "<a href=",
        "<!--",
        "<!-- -",
        "<![",
        "<?",
        "</",
        "&#",
        "<a a a",
        "<a\"'",
        "<a href=' '>",
        "x",
        "x ",
        "x\n/",
        "x=",
        "=",
        "x=''",
        "href=x ",
        "href=' ",
    ],
)
@pytest.mark.parametrize("frame", [b"%b", b"<a %b>", b"<a x='%b", b'<a x="%b">'])
def test_a_hostile_page_is_read_in_time_that_grows_with_its_size(piece: str, frame: bytes) -> None:
    # Where time grows with the square, 20 kB take seconds already, and this would take many minutes.
    started = time.process_time()
    parse_html(frame % (piece.encode() * (300_000 // len(piece))), URL)
    assert time.process_time() - started < 20


def test_a_json_page_says_the_same() -> None:
    files = [
        {"filename": "a.whl", "url": "../../sample/a.whl", "hashes": {"sha256": SHA.upper()}},
        {"filename": "b.whl", "url": "/b.whl", "hashes": {}},
        {"filename": 5, "url": "/c.whl"},
    ]
    assert parse_json(json.dumps({"files": files}).encode(), URL) == {
        "a.whl": IndexFile("a.whl", "https://us-python.pkg.dev/p/r/sample/a.whl", SHA),
        "b.whl": IndexFile("b.whl", "https://us-python.pkg.dev/b.whl", None),
    }


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"files": 1}', b'{"files": [{"filename": "a"}]}', b"\xff", b"[" * 100_000]
)
def test_json_that_is_no_page_is_refused(body: bytes) -> None:
    with pytest.raises(RegistryRefused, match="not a simple index"):
        parse_json(body, URL)


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
        patience=Patience(tries=3, sleep=time.sleep, clock=time.clock),
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
    with pytest.raises(RegistryRefused, match="round in circles"):
        open_index(server).files("sample")


def test_a_list_without_end_is_no_index() -> None:
    with pytest.raises(RegistryRefused, match="not a simple index"):
        parse_html(b"".join(b"<a href=%d.whl>" % number for number in range(100_001)), URL)
    listed = {"files": [{"filename": f"{number}.whl", "url": f"{number}.whl"} for number in range(100_001)]}
    with pytest.raises(RegistryRefused, match="not a simple index"):
        parse_json(json.dumps(listed).encode(), URL)


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


@pytest.mark.parametrize(
    "link", ["http://[x/a.whl", "http://a..b/a.whl", f"http://{'a' * 70}.example/a.whl", "file:///etc/a.whl", "a:b"]
)
def test_a_link_that_is_no_url_is_no_file(link: str) -> None:
    assert list(parse_html(f'<a href="{link}"><a href="b.whl">'.encode(), URL)) == ["b.whl"]
