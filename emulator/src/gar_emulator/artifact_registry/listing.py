"""Lists as Google's APIs answer with them: one page of what passes a filter."""

import base64
import binascii
import re
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gar_emulator.artifact_registry.resources import Item
from gar_emulator.cloud.refusals import api

PAGE_SIZE = 1000


def page(request: Request, kind: str, items: list[Item]) -> Response:
    """One page of what passes the filter, in the order of the names: https://google.aip.dev/158"""
    try:
        size = min(int(request.query_params.get("pageSize") or 0) or PAGE_SIZE, PAGE_SIZE)
        start = base64.urlsafe_b64decode(request.query_params.get("pageToken", "")).decode()
    except (ValueError, binascii.Error):
        raise api(400, "Request contains an invalid argument.") from None
    ordered = sorted((item for item in items if _passes(request, item)), key=lambda item: str(item["name"]))
    rest = [item for item in ordered if item["name"] > start]
    answer: Item = {kind: rest[:size]} if rest else {}
    if len(rest) > size:
        answer["nextPageToken"] = base64.urlsafe_b64encode(rest[size - 1]["name"].encode()).decode()
    return JSONResponse(answer)


def _passes(request: Request, item: Item) -> bool:
    """`filter=name="…" AND owner="…"`, where `*` stands for anything: all that gcloud sends."""
    for field, value in re.findall(r'(\w+)\s*[=:]\s*"([^"]*)"', request.query_params.get("filter", "")):
        pattern = ".*".join(re.escape(part) for part in unquote(value).split("*"))
        if not re.fullmatch(pattern, unquote(str(item.get(field, "")))):
            return False
    return True
