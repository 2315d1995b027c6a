"""Long-running operations of the Artifact Registry API: https://google.aip.dev/151"""

import asyncio
from collections.abc import Callable
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gar_emulator.artifact_registry.resources import Item
from gar_emulator.cloud.cloud import Cloud
from gar_emulator.cloud.refusals import not_found

TYPE = "type.googleapis.com/google.devtools.artifactregistry.v1"
METADATA: Item = {"@type": f"{TYPE}.OperationMetadata"}
EMPTY: Item = {"@type": "type.googleapis.com/google.protobuf.Empty"}


class Operations:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._known: dict[str, Item] = {}

    async def get(self, request: Request) -> Response:
        self._cloud.authenticate(request)
        found = self._known.get(_name(request, request.path_params["operation"]))
        if found is None:
            raise not_found()
        return JSONResponse(found)

    def start(
        self, request: Request, response: Item, carry_out: Callable[[], None], *, metadata: Item = METADATA
    ) -> Response:
        """Return an operation that is done at once, or after the seconds of its switch."""
        operation: Item = {"name": _name(request, str(uuid4())), "metadata": metadata}
        self._known[operation["name"]] = operation

        def finish() -> None:
            carry_out()
            self._known[operation["name"]] = {**operation, "done": True, "response": response}

        if seconds := self._cloud.switches.operation_seconds:
            asyncio.get_running_loop().call_later(seconds, finish)
        else:
            finish()
        return JSONResponse(operation)

    def ended(self, request: Request, **outcome: Item) -> Item:
        """Return an operation that already has its `response` or `error`."""
        name = _name(request, str(uuid4()))
        self._known[name] = {"name": name, "done": True, **outcome}
        return {"name": name}


def _name(request: Request, id_: str) -> str:
    return f"projects/{request.path_params['project']}/locations/{request.path_params['location']}/operations/{id_}"
