"""The page at `/`, which shows the state of the emulator, and its JSON. No token, key or secret is in it."""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from importlib.resources import files
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import Scope

from gar_emulator.cloud import downloads
from gar_emulator.cloud.cloud import Cloud
from gar_emulator.cloud.package_store import rfc3339
from gar_emulator.faults.faults import Faults

STATE = "/emulator/state"
SHOWN_REQUESTS = 200
LONGEST = 300
"""Characters of a path or a reason."""

_METADATA = ("metadata", "metadata.google.internal", "169.254.169.254")


def routes(cloud: Cloud, faults: Faults, requests: Sequence[Any]) -> list[Route]:
    page = files("gar_emulator").joinpath("server/page.html").read_text("utf-8")
    headers = {
        "Content-Security-Policy": _policy(page),
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }

    async def show(_: Request) -> Response:
        return HTMLResponse(page, headers=headers)

    async def answer(_: Request) -> Response:
        return JSONResponse(state(cloud, faults, requests), headers=headers)

    return [Route("/", show), Route(STATE, answer)]


def is_wanted(scope: Scope, host: str) -> bool:
    """Return whether a browser asks for the page; clients of the metadata server ask for `/` as well."""
    accepted = dict(scope["headers"]).get(b"accept", b"")
    return scope["path"] == "/" and host not in _METADATA and b"text/html" in accepted


def state(cloud: Cloud, faults: Faults, requests: Sequence[Any]) -> dict[str, Any]:
    """Return what the page shows: packages, identities and their roles, faults, and the latest requests."""
    world = cloud.world
    return {
        "files": [
            {
                "repository": repository.resource,
                "package": stored.package,
                "version": stored.version,
                "file": stored.filename,
                "bytes": stored.size,
                "uploaded": stored.created_at,
                "sha256": stored.sha256,
            }
            for repository in cloud.repositories
            for stored in cloud.store.files(repository)
        ],
        "repositories": [
            {"repository": each.resource, "format": each.format, "mode": each.mode, "public": each.public}
            for each in cloud.repositories
        ],
        "identities": [
            *(
                {
                    "identity": f"serviceAccount:{each.email}",
                    "state": "deleted" if each.deleted else "disabled" if each.disabled else "active",
                    "has": "a key" if any(key.account == each.email and not key.disabled for key in world.keys) else "",
                    "condition": "",
                }
                for each in world.accounts
            ),
            *(
                {
                    "identity": each.resource,
                    "state": "deleted" if each.deleted else "disabled" if each.disabled else "active",
                    "has": each.issuer,
                    "condition": each.condition,
                }
                for each in world.providers
            ),
        ],
        "roles": [{"member": each.member, "role": each.role, "resource": each.resource} for each in world.bindings],
        "faults": [{**asdict(fault), "struck": struck} for fault, struck in faults.struck],
        "requests": [
            {
                "time": rfc3339(seen.at)[:19],
                "method": seen.method,
                "host": seen.host,
                "path": _without_token(seen.path)[:LONGEST],
                "status": seen.status,
                "why": seen.why,
                "caller": seen.principal,
            }
            for seen in list(requests)[: -SHOWN_REQUESTS - 1 : -1]
        ],
    }


def reason(response: Response) -> str:
    """Return why a response refuses."""
    text = bytes(response.body).decode(errors="replace").strip()
    try:
        error = json.loads(text)
        text = str(error.get("error_description") or error["error"]["message"])
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    return text[:LONGEST]


def _without_token(path: str) -> str:
    """Return a path without the token of a redirected download, which gives access to the file."""
    return f"{path.rpartition('/')[0]}/…" if path.startswith(downloads.ROOT) else path


def _policy(page: str) -> str:
    """Return a policy (https://www.w3.org/TR/CSP3/) that allows the page's own script and style alone."""
    hashes = {
        tag: base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        for tag, content in re.findall(r"<(script|style)>(.*?)</", page, re.DOTALL)
    }
    return (
        f"default-src 'none'; script-src 'sha256-{hashes['script']}'; style-src 'sha256-{hashes['style']}'; "
        "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
