"""The metadata server of Compute Engine, Cloud Run and Cloud Build, for the world's ambient account.

https://cloud.google.com/compute/docs/metadata/predefined-metadata-keys
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gar_emulator.cloud.cloud import Cloud
from gar_emulator.cloud.refusals import text

HOST = "metadata.google.internal"
FLAVOR = {"Metadata-Flavor": "Google", "Server": "Metadata Server for VM"}
LIFETIME = 3599


def routes(cloud: Cloud) -> list[Route]:
    server = MetadataServer(cloud)
    return [
        Route("/", server.ping),
        Route("/computeMetadata/v1/instance/service-accounts/{account}/token", server.token),
        Route("/computeMetadata/v1/{key:path}", server.value),
        Route("/computeMetadata/v1", server.value),
    ]


class MetadataServer:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    async def ping(self, _: Request) -> Response:
        if self._cloud.world.ambient is None:
            raise text(404, "This world has no ambient account.")
        return PlainTextResponse("computeMetadata/\n", headers={**FLAVOR, "Content-Type": "application/text"})

    async def token(self, request: Request) -> Response:
        ambient = self._tree(request)["instance"]["service-accounts"].get(request.path_params["account"])
        if ambient is None:
            raise text(404, "Not Found", FLAVOR)
        asked = [scope for scope in request.query_params.get("scopes", "").split(",") if scope]
        principal = f"serviceAccount:{ambient['email']}"
        request.scope["principal"] = principal
        access = self._cloud.keys.access_token(principal, frozenset(asked or ambient["scopes"]), LIFETIME)
        return JSONResponse({"access_token": access, "expires_in": LIFETIME, "token_type": "Bearer"}, headers=FLAVOR)

    async def value(self, request: Request) -> Response:
        node: Any = self._tree(request)
        for part in request.path_params.get("key", "").split("/"):
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

    def _tree(self, request: Request) -> dict[str, Any]:
        """Return all values of the server.

        Raises:
            Refusal: 403 without the required header, 404 without an ambient account.
        """
        if request.headers.get("metadata-flavor") != "Google":
            raise text(403, "Missing Metadata-Flavor:Google header.", FLAVOR)
        ambient = self._cloud.world.ambient
        account = self._cloud.account(ambient.account) if ambient else None
        if ambient is None or account is None:
            raise text(404, "This world has no ambient account.")
        project = self._cloud.project(account.project)
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
