"""The metadata server of Compute Engine, Cloud Run and Cloud Build, for the world's ambient account.

https://cloud.google.com/compute/docs/metadata/predefined-metadata-keys
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gar_publish.emulator.answers import text
from gar_publish.emulator.cloud import Cloud

HOST = "metadata.google.internal"
FLAVOR = {"Metadata-Flavor": "Google", "Server": "Metadata Server for VM"}
LIFETIME = 3599


def routes(cloud: Cloud) -> list[Route]:
    async def ping(_: Request) -> Response:
        if cloud.world.ambient is None:
            raise text(404, "This world has no ambient account.")
        return PlainTextResponse("computeMetadata/\n", headers={**FLAVOR, "Content-Type": "application/text"})

    async def token(request: Request) -> Response:
        ambient = _tree(cloud, request)["instance"]["service-accounts"].get(request.path_params["account"])
        if ambient is None:
            raise text(404, "Not Found", FLAVOR)
        asked = [scope for scope in request.query_params.get("scopes", "").split(",") if scope]
        principal = f"serviceAccount:{ambient['email']}"
        request.scope["principal"] = principal
        access = cloud.keys.access_token(principal, frozenset(asked or ambient["scopes"]), LIFETIME)
        return JSONResponse({"access_token": access, "expires_in": LIFETIME, "token_type": "Bearer"}, headers=FLAVOR)

    async def value(request: Request) -> Response:
        node: Any = _tree(cloud, request)
        for part in request.path_params["key"].strip("/").split("/"):
            if part:
                node = node.get(part) if isinstance(node, dict) else None
        if node is None:
            raise text(404, "Not Found", FLAVOR)
        if isinstance(node, dict) and request.query_params.get("recursive", "").lower() == "true":
            return JSONResponse(node, headers=FLAVOR)
        if isinstance(node, dict):
            node = [f"{name}/" if isinstance(item, dict) else name for name, item in node.items()]
        if isinstance(node, list):
            node = "".join(f"{item}\n" for item in node)
        return PlainTextResponse(node, headers={**FLAVOR, "Content-Type": "application/text"})

    return [
        Route("/", ping),
        Route("/computeMetadata/v1/instance/service-accounts/{account}/token", token),
        Route("/computeMetadata/v1/{key:path}", value),
        Route("/computeMetadata/v1", value),
    ]


def _tree(cloud: Cloud, request: Request) -> dict[str, Any]:
    """The values that the server gives out.

    Raises:
        Refusal: 403 without the header that a browser cannot be made to send, 404 without an ambient account.
    """
    request.path_params.setdefault("key", "")
    if request.headers.get("metadata-flavor") != "Google":
        raise text(403, "Missing Metadata-Flavor:Google header.", FLAVOR)
    ambient = cloud.world.ambient
    account = cloud.account(ambient.account) if ambient else None
    if ambient is None or account is None:
        raise text(404, "This world has no ambient account.")
    project = cloud.project(account.project)
    number = str(project.number) if project else "0"
    entry = {"aliases": ["default"], "email": account.email, "scopes": list(ambient.scopes)}
    return {
        "instance": {
            "id": "1",
            "zone": f"projects/{number}/zones/us-central1-a",
            "service-accounts": {"default": entry, account.email: entry},
        },
        "project": {"project-id": account.project, "numeric-project-id": number},
        "universe": {"universe-domain": "googleapis.com"},
    }
