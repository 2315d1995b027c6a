import hashlib
import json
from dataclasses import replace
from pathlib import Path
from time import process_time

import pytest
import requests

from gar_publish.auth.tokens import GivenSource
from gar_publish.context import Context
from gar_publish.errors import CredentialsFailure, FileRefused, RegistryRefused, Unreachable
from gar_publish.registry import index as index_module
from gar_publish.registry.index import Index, IndexFile, parse_html, parse_json
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.repository import Repository
from tests.unit.failures import words
from tests.unit.servers import Memory, Reply, ScriptedServer, Time, basic, serve

SHA = "ab" * 32
URL = "https://us-python.pkg.dev/p/r/simple/sample/"


def test_the_token_is_sent(server: ScriptedServer, index: Index) -> None:
    server.on("/simple/sample/", Reply(200, f'<a href="/f/sample-1.0.tar.gz#sha256={SHA}">'))
    assert index.files("sample")["sample-1.0.tar.gz"].sha256 == SHA
    assert server.seen[0].headers["Authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    "strange",
    [
        Reply(200, b"\xff\xfe\x00garbage", {"Content-Type": "text/html"}),
        Reply(200, "<a>", {"Content-Type": "image/png"}),
        Reply(200, "[]", {"Content-Type": "application/json"}),
    ],
    ids=["not UTF-8", "image", "other JSON"],
)
def test_a_page_that_is_not_an_index_is_requested_again(server: ScriptedServer, index: Index, strange: Reply) -> None:
    good = Reply(200, '<a href="/f/sample-1.0.tar.gz">', {"Content-Type": "text/html; charset=utf-8"})
    server.on("/simple/sample/", strange, strange, good)
    assert list(index.files("sample")) == ["sample-1.0.tar.gz"]
    server.on("/simple/other/", strange)
    with pytest.raises(RegistryRefused) as caught:
        index.files("other")
    url = f"{server.url}/simple/other/"
    assert words(caught.value) == [
        f"{url} answered with something that is not a simple index.",
        "a proxy or a login page answered in place of the registry, or the URL is not an index",
        f"open {url} in a browser, and compare `repository` with what you see",
        "not-an-index",
    ]


@pytest.mark.parametrize(
    ("bodies", "last"),
    [(["right"], "right"), (["wrong", "right"], "right"), (["wrong", "wrong"], "wrong"), (["a", "b", "c"], "c")],
)
def test_a_file_with_different_contents_is_read_again(
    server: ScriptedServer, index: Index, bodies: list[str], last: str
) -> None:
    server.on("/sample.whl", *(Reply(200, body) for body in bodies))
    file = IndexFile("sample.whl", f"{server.url}/sample.whl", None)
    expected = hashlib.sha256(b"right").hexdigest()
    assert index.read_sha256(file, expected) == hashlib.sha256(last.encode()).hexdigest()
    assert len(server.seen) == len(bodies)


def test_an_unknown_project_has_no_files(index: Index) -> None:
    assert index.files("sample") == {}


@pytest.mark.parametrize(
    ("status", "kind"), [(401, CredentialsFailure), (403, RegistryRefused), (418, RegistryRefused)]
)
def test_a_refusal_shows_the_answer(server: ScriptedServer, index: Index, status: int, kind: type[Exception]) -> None:
    server.on("/simple/", Reply(status, "<html><body><h1>No</h1>\x1b[31mway</body></html>"))
    with pytest.raises(kind) as caught:
        index.files("sample")
    assert getattr(caught.value, "detail", None) == "No [31mway"


def test_a_passing_fault_is_retried(server: ScriptedServer, index: Index) -> None:
    server.on("/simple/", Reply(503), Reply(drop=True), Reply(200, "<html>"))
    assert index.files("sample") == {}


def test_a_lasting_fault_fails(server: ScriptedServer, index: Index) -> None:
    server.on("/simple/", Reply(502))
    with pytest.raises(Unreachable, match=r"^Could not look up sample: "):
        index.files("sample")


def test_a_listed_file_that_is_not_served_yet_is_waited_for(server: ScriptedServer, index: Index) -> None:
    server.on("/f/a.whl", Reply(404), Reply(404), Reply(200, b"bytes"))
    file = IndexFile("a.whl", f"{server.url}/f/a.whl", None)
    assert index.read_sha256(file) == hashlib.sha256(b"bytes").hexdigest()


def test_the_copy_has_the_last_contents(server: ScriptedServer, index: Index, tmp_path: Path) -> None:
    server.on("/f/a.whl", Reply(200, b"wheel and m", cut=3), Reply(200, b"different and more"), Reply(200, b"bytes"))
    sha256 = hashlib.sha256(b"bytes").hexdigest()
    file = IndexFile("a.whl", f"{server.url}/f/a.whl", sha256)
    assert index.read_sha256(file, copy=tmp_path / "a.whl") == sha256
    assert (tmp_path / "a.whl").read_bytes() == b"bytes"
    with pytest.raises(FileNotFoundError):
        index.read_sha256(file, copy=tmp_path / "nowhere" / "a.whl")


def test_a_longer_file_is_not_read_to_its_end(server: ScriptedServer, index: Index) -> None:
    server.on("/f/a.whl", Reply(200, b"x" * 1000))
    file = IndexFile("a.whl", f"{server.url}/f/a.whl", None)
    assert index.read_sha256(file, "ab" * 32, size=999) == ""
    assert index.read_sha256(file, size=1000) == hashlib.sha256(b"x" * 1000).hexdigest()


def test_every_wait_is_announced(server: ScriptedServer, index: Index, console: Memory, time: Time) -> None:
    assert index.wait_for("sample", "a.whl") is None
    with pytest.raises(RegistryRefused):
        index.read_sha256(IndexFile("a.whl", f"{server.url}/f/a.whl", None))
    assert time.slept == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0] * 2
    assert console.said[0] == "the index does not list a.whl yet; trying again in 0.5 s"
    assert console.said[-1] == "the index does not serve a.whl yet; trying again in 15.0 s"


def test_the_wait_ends_when_the_file_is_listed(server: ScriptedServer, index: Index, time: Time) -> None:
    server.on("/simple/sample/", Reply(200, "<html>"), Reply(404), Reply(200, '<a href="/f/a.whl">'))
    assert index.wait_for("sample", "a.whl") == IndexFile("a.whl", f"{server.url}/f/a.whl", None)
    assert time.slept == [0.5, 1.0]


def test_a_refused_file_is_not_waited_for(server: ScriptedServer, index: Index, time: Time) -> None:
    server.on("/f/a.whl", Reply(403, "no"))
    with pytest.raises(RegistryRefused, match="refuses to read"):
        index.read_sha256(IndexFile("a.whl", f"{server.url}/f/a.whl", None))
    assert time.slept == []


def test_an_outage_names_the_file(server: ScriptedServer, context: Context, session: requests.Session) -> None:
    repository = Repository.parse("us/demo-project/python", endpoints=Endpoints(server.url))
    index = Index(repository, context, session, GivenSource("ya29.given"))
    server.on("/", Reply(503))
    with pytest.raises(Unreachable, match=r"^Could not read a\.whl back: "):
        index.read_unlisted("sample", "a.whl", 9)
    with pytest.raises(Unreachable, match=r"^Could not read a\.whl: "):
        index.read_sha256(IndexFile("a.whl", f"{server.url}/f/a.whl", None))


def test_an_unlisted_file_of_artifact_registry(
    server: ScriptedServer, context: Context, session: requests.Session
) -> None:
    repository = Repository.parse("us/demo-project/python", endpoints=Endpoints(server.url))
    index = Index(repository, context, session, GivenSource("ya29.given"))
    assert index.read_unlisted("sample", "a.whl", 9) is None
    url = f"{repository.upload_url}sample/a%2B1.whl"
    server.on(url.removeprefix(server.url), Reply(200, b"contents"))
    sha256 = hashlib.sha256(b"contents").hexdigest()
    assert index.read_unlisted("sample", "a+1.whl", 8) == IndexFile("a+1.whl", url, sha256)
    assert index.read_unlisted("sample", "a+1.whl", 7) == IndexFile("a+1.whl", url, "")


def test_an_unlisted_file_of_another_index_is_not_requested(server: ScriptedServer, index: Index) -> None:
    assert index.read_unlisted("sample", "a.whl", 9) is None
    assert server.seen == []


def test_files_are_requested_without_content_coding(server: ScriptedServer, index: Index) -> None:
    server.on("/", Reply(200, "<html>"))
    index.files("sample")
    index.read_sha256(IndexFile("a.whl", f"{server.url}/f/a.whl", None))
    page, file = server.seen
    assert page.headers["Accept"] == "application/vnd.pypi.simple.v1+json, text/html;q=0.5"
    assert file.headers["Accept"] == "*/*"
    assert page.headers["Accept-Encoding"] == file.headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b'{"files": [{"filename": "a.whl", "url": "/a.whl"}]}'),
        ("Application/vnd.pypi.simple.v1+json ; q=1", b'{"files": [{"filename": "a.whl", "url": "/a.whl"}]}'),
        ("application/xhtml+xml", b"<a href='/a.whl'>"),
        ("application/vnd.pypi.simple.v1+html", b"<a href='/a.whl'>"),
    ],
)
def test_content_types(server: ScriptedServer, index: Index, kind: str, body: bytes) -> None:
    server.on("/simple/", Reply(200, body, {"Content-Type": kind}))
    assert list(index.files("sample")) == ["a.whl"]


def test_an_empty_answer_without_a_content_type_is_not_an_index(server: ScriptedServer, index: Index) -> None:
    server.on("/simple/", Reply(200))
    with pytest.raises(RegistryRefused, match="not a simple index"):
        index.files("sample")


def test_a_page_that_is_too_long(server: ScriptedServer, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "_PAGE_LIMIT", 1000)
    server.on("/simple/", Reply(200, " " * 1000))
    assert index.files("sample") == {}
    server.on("/simple/", Reply(200, " " * 1001))
    with pytest.raises(RegistryRefused, match="not a simple index"):
        index.files("sample")


def test_a_file_of_unknown_size_that_is_too_long(
    server: ScriptedServer, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "_FILE_LIMIT", 4)
    server.on("/f/a.whl", Reply(200, b"12345"))
    assert index.read_sha256(IndexFile("a.whl", f"{server.url}/f/a.whl", None)) == ""


@pytest.mark.parametrize("location", ["/\xff", "http://127.0.0.1:99999/", "http://[::1", "http://a..b/", "ftp://a/"])
def test_a_redirect_to_an_invalid_url(server: ScriptedServer, index: Index, location: str) -> None:
    server.on("/simple/", Reply(302, headers={"Location": location}))
    with pytest.raises(RegistryRefused) as caught:
        index.files("sample")
    assert caught.value.anchor == "redirect"


def test_redirects_in_cycles(server: ScriptedServer, index: Index) -> None:
    server.on("/simple/", Reply(302, headers={"Location": "/simple/sample/"}))
    with pytest.raises(RegistryRefused, match="redirects in cycles"):
        index.files("sample")


@pytest.mark.parametrize("length", [6_000, 21_000])
def test_a_download_is_redirected_to_a_long_address(server: ScriptedServer, index: Index, length: int) -> None:
    address = f"/artifacts-downloads/{'x' * length}"
    server.on("/f/a.whl", Reply(307, f'<a href="{address}">', headers={"Location": address}))
    server.on("/artifacts-downloads/", Reply(200, b"bytes"))
    file = IndexFile("a.whl", f"{server.url}/f/a.whl", None)
    assert index.read_sha256(file) == hashlib.sha256(b"bytes").hexdigest()
    assert [seen.headers["Authorization"] for seen in server.seen] == [basic("ya29.given")] * 2


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_after_a_redirect_is_the_files_own_failure(server: ScriptedServer, index: Index, status: int) -> None:
    server.on("/f/a.whl", Reply(307, headers={"Location": "/artifacts-downloads/x"}))
    server.on("/artifacts-downloads/", Reply(status))
    with pytest.raises(FileRefused, match=r"redirects the download of a\.whl to an address that refuses it"):
        index.read_sha256(IndexFile("a.whl", f"{server.url}/f/a.whl", None))


def test_another_host_gets_no_token(index: Index) -> None:
    index.repository = replace(index.repository, file_hosts=("127.0.0.1",))
    with serve() as other:
        other.on("/a.whl", Reply(200, b"bytes"))
        index.read_sha256(IndexFile("a.whl", f"{other.url}/a.whl", None))
        assert other.seen[0].headers["Authorization"] is None


def test_a_truncated_body_is_requested_again(server: ScriptedServer, index: Index) -> None:
    file = IndexFile("a.whl", f"{server.url}/f/a.whl", None)
    server.on("/f/a.whl", Reply(200, b"by", cut=3), Reply(200, b"bytes"))
    assert index.read_sha256(file) == hashlib.sha256(b"bytes").hexdigest()
    server.on("/simple/", Reply(200, b"<a", cut=3), Reply(200, b"<html>"))
    assert index.files("sample") == {}


def test_an_html_page() -> None:
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
def test_unusual_html(link: str) -> None:
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
def test_a_hostile_page_takes_linear_time(piece: str, frame: bytes) -> None:
    # In quadratic time, 20 kB take seconds, and this would take many minutes.
    started = process_time()
    parse_html(frame % (piece.encode() * (300_000 // len(piece))), URL)
    assert process_time() - started < 20


def test_a_json_page() -> None:
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
def test_json_that_is_not_an_index(body: bytes) -> None:
    with pytest.raises(RegistryRefused, match="not a simple index"):
        parse_json(body, URL)


def test_a_page_with_too_many_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "_MOST_FILES", 3)
    for count in (3, 4):
        page = b"".join(b"<a href=%d.whl>" % number for number in range(count))
        listed = {"files": [{"filename": f"{number}.whl", "url": f"{number}.whl"} for number in range(count)]}
        if count == 3:
            assert len(parse_html(page, URL)) == len(parse_json(json.dumps(listed).encode(), URL)) == 3
            continue
        with pytest.raises(RegistryRefused, match="not a simple index"):
            parse_html(page, URL)
        with pytest.raises(RegistryRefused, match="not a simple index"):
            parse_json(json.dumps(listed).encode(), URL)


@pytest.mark.parametrize(
    "link", ["http://[x/a.whl", "http://a..b/a.whl", f"http://{'a' * 70}.example/a.whl", "file:///etc/a.whl", "a:b"]
)
def test_a_link_that_is_not_a_web_url_is_left_out(link: str) -> None:
    assert list(parse_html(f'<a href="{link}"><a href="b.whl">'.encode(), URL)) == ["b.whl"]


@pytest.mark.parametrize("way", ["link", "redirect"])
def test_files_are_read_from_the_indexs_own_origin_or_a_named_host(
    server: ScriptedServer, index: Index, way: str
) -> None:
    with serve() as internal:
        internal.on("/secret", Reply(200, "internal"))
        address = internal.url.replace("127.0.0.1", "localhost") + "/secret"
        server.on("/f/", Reply(302, headers={"Location": address}))
        file = IndexFile("a.whl", f"{server.url}/f/a.whl" if way == "redirect" else address, None)
        with pytest.raises(RegistryRefused) as caught:
            index.read_sha256(file)
        host = server.url.partition("://")[2]
        assert words(caught.value) == [
            f"The index at {host} sends gar-publish to another host: {internal.url.replace('127.0.0.1', 'localhost')}",
            "that host may be an internal one, which the index itself cannot reach",
            "if your registry keeps its files there, set `file-hosts: localhost`",
            "file-hosts",
        ]
        assert not internal.seen
        index.repository = replace(index.repository, file_hosts=("localhost",))
        assert index.read_sha256(file) == hashlib.sha256(b"internal").hexdigest()
        assert "Authorization" not in internal.seen[0].headers
