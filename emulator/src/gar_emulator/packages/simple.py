"""The simple index as HTML (PEP 503), and as JSON (PEP 691) if its switch is on."""

import html
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from gar_emulator.cloud.package_store import StoredFile
from gar_emulator.world.switches import Switches
from gar_emulator.world.world import Repository

JSON_TYPE = "application/vnd.pypi.simple.v1+json"
META = {"api-version": "1.0"}


def index(request: Request, switches: Switches, repository: Repository, files: list[StoredFile]) -> Response:
    """Return the page with all packages of a repository."""
    names = sorted({stored.package for stored in files})
    if _wants_json(request, switches):
        return JSONResponse({"meta": META, "projects": [{"name": name} for name in names]}, media_type=JSON_TYPE)
    base = f"{_address(request, repository)}/simple"
    return _page("Simple index", [f'<a href="{base}/{name}/">{name}</a>' for name in names])


def package(request: Request, switches: Switches, repository: Repository, files: list[StoredFile]) -> Response:
    """Return the page with all files of one package, which has at least one file."""
    name = files[0].package
    urls = {stored: f"{_address(request, repository)}/{stored.package}/{quote(stored.filename)}" for stored in files}
    if _wants_json(request, switches):
        entries = [_entry(stored, url, switches) for stored, url in urls.items()]
        return JSONResponse({"meta": META, "name": name, "files": entries}, media_type=JSON_TYPE)
    return _page(f"Links for {name}", [_link(stored, url, switches) for stored, url in urls.items()])


def _wants_json(request: Request, switches: Switches) -> bool:
    return switches.json_index and JSON_TYPE in request.headers.get("accept", "")


def _address(request: Request, repository: Repository) -> str:
    return f"{str(request.base_url).rstrip('/')}/{repository.project}/{repository.name}"


def _link(stored: StoredFile, url: str, switches: Switches) -> str:
    needs = (
        f' data-requires-python="{html.escape(stored.requires_python)}"'
        if stored.requires_python and switches.requires_python
        else ""
    )
    described = ' data-core-metadata="true"' if _is_described(stored, switches) else ""
    return f'<a href="{html.escape(url)}#sha256={stored.sha256}"{needs}{described}>{html.escape(stored.filename)}</a>'


def _entry(stored: StoredFile, url: str, switches: Switches) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "filename": stored.filename,
        "url": url,
        "hashes": {"sha256": stored.sha256},
        "size": stored.size,
    }
    if stored.requires_python and switches.requires_python:
        entry["requires-python"] = stored.requires_python
    if _is_described(stored, switches):
        entry["core-metadata"] = True
    return entry


def _is_described(stored: StoredFile, switches: Switches) -> bool:
    return switches.metadata_files and stored.filename.endswith(".whl")


def _page(title: str, links: list[str]) -> Response:
    body = "".join(f"    {link}<br/>\n" for link in links)
    return HTMLResponse(
        f"<!DOCTYPE html>\n<html>\n  <head><title>{title}</title></head>\n"
        f"  <body>\n    <h1>{title}</h1>\n{body}  </body>\n</html>\n"
    )
