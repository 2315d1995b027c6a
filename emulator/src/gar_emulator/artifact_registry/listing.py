"""Lists in Google's APIs: filters and pages."""

import base64
import binascii
import re
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gar_emulator.artifact_registry.resources import Item
from gar_emulator.cloud.refusals import invalid_argument

PAGE_SIZE = 1000


def page(request: Request, kind: str, items: list[Item]) -> Response:
    """Return one page of the items that match the filter, sorted by name: https://google.aip.dev/158"""
    try:
        size = min(int(request.query_params.get("pageSize") or 0) or PAGE_SIZE, PAGE_SIZE)
        start = base64.urlsafe_b64decode(request.query_params.get("pageToken", "")).decode()
    except (ValueError, binascii.Error):
        raise invalid_argument() from None
    ordered = sorted((item for item in items if _matches(request, item)), key=lambda item: str(item["name"]))
    rest = [item for item in ordered if item["name"] > start]
    answer: Item = {kind: rest[:size]} if rest else {}
    if len(rest) > size:
        answer["nextPageToken"] = base64.urlsafe_b64encode(rest[size - 1]["name"].encode()).decode()
    return JSONResponse(answer)


def _matches(request: Request, item: Item) -> bool:
    """Return whether an item matches `filter=name="…" AND owner="…"` (`*` is a wildcard), which gcloud uses."""
    for field, value in re.findall(r'(\w+)\s*[=:]\s*"([^"]*)"', request.query_params.get("filter", "")):
        pattern = ".*".join(re.escape(part) for part in unquote(value).split("*"))
        if not re.fullmatch(pattern, unquote(str(item.get(field, "")))):
            return False
    return True
