import hashlib
import html.parser
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emulated import Local

JSON = {"Accept": "application/vnd.pypi.simple.v1+json, text/html;q=0.1"}


class Links(html.parser.HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found.append(dict(attrs))


def _page(local: Local, path: str = "my-pkg/", **options: Any) -> str:
    return local.get(f"/demo-project/python/simple/{path}", local.token(), **options).text


def test_empty_index(local: Local) -> None:
    assert Links(_page(local, "")).found == []


def test_index_links_to_the_file(local: Local, wheel: Path) -> None:
    local.upload(wheel, local.token(), fields={"requires_python": "<4,>=3.9"})
    (package,) = Links(_page(local, "")).found
    assert str(package["href"]).endswith("/simple/my-pkg/")
    page = local.session.get(str(package["href"]), auth=("oauth2accesstoken", local.token())).text
    (file,) = Links(page).found
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    base = local.url("us-central1-python.pkg.dev", "/demo-project/python")
    assert file == {"href": f"{base}/my-pkg/{wheel.name}#sha256={digest}", "data-requires-python": "<4,>=3.9"}


@pytest.mark.parametrize("path", ["my-pkg/", "my-pkg", "My_Pkg/", "my.pkg"])
def test_any_spelling_of_the_name(local: Local, wheel: Path, path: str) -> None:
    local.upload(wheel, local.token())
    assert wheel.name in _page(local, path)


def test_requires_python_is_a_switch(start: Callable[..., Local], wheel: Path) -> None:
    local = start(requires_python=False)
    local.upload(wheel, local.token(), fields={"requires_python": ">=3.9"})
    assert "data-requires-python" not in _page(local)


def test_json_is_a_switch(local: Local, wheel: Path) -> None:
    local.upload(wheel, local.token(), fields={"requires_python": ">=3.9"})
    assert _page(local, headers=JSON).startswith("<!DOCTYPE html>")
    local.emulator.cloud.switch(json_index=True)
    assert _page(local).startswith("<!DOCTYPE html>")
    index = local.get("/demo-project/python/simple/", local.token(), headers=JSON)
    assert index.headers["Content-Type"] == "application/vnd.pypi.simple.v1+json"
    assert index.json()["projects"] == [{"name": "my-pkg"}]
    body = local.get("/demo-project/python/simple/my-pkg/", local.token(), headers=JSON).json()
    assert body["name"] == "my-pkg"
    (file,) = body["files"]
    assert file["hashes"] == {"sha256": hashlib.sha256(wheel.read_bytes()).hexdigest()}
    assert (file["requires-python"], file["size"]) == (">=3.9", wheel.stat().st_size)
