import json
import time

import pytest

from gar_publish.errors import RegistryRefused
from gar_publish.registry.index import IndexFile, parse_html, parse_json

URL = "https://us-python.pkg.dev/p/r/simple/sample/"
SHA = "ab" * 32


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


def test_a_list_without_end_is_no_index() -> None:
    with pytest.raises(RegistryRefused, match="not a simple index"):
        parse_html(b"".join(b"<a href=%d.whl>" % number for number in range(100_001)), URL)
    listed = {"files": [{"filename": f"{number}.whl", "url": f"{number}.whl"} for number in range(100_001)]}
    with pytest.raises(RegistryRefused, match="not a simple index"):
        parse_json(json.dumps(listed).encode(), URL)


@pytest.mark.parametrize(
    "link", ["http://[x/a.whl", "http://a..b/a.whl", f"http://{'a' * 70}.example/a.whl", "file:///etc/a.whl", "a:b"]
)
def test_a_link_that_is_no_url_is_no_file(link: str) -> None:
    assert list(parse_html(f'<a href="{link}"><a href="b.whl">'.encode(), URL)) == ["b.whl"]
