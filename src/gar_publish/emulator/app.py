"""One address for every host: finds the service that a request is for, and keeps a record of who asked what."""

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Router
from starlette.types import Message, Receive, Scope, Send

from gar_publish.emulator import (
    github,
    iamcredentials,
    metadata,
    oauth,
    pythonhost,
    resourcemanager,
    rest,
    sts,
)
from gar_publish.emulator.answers import Refusal
from gar_publish.emulator.cloud import Cloud

KEPT_REQUESTS = 10_000


@dataclass(frozen=True)
class Seen:
    """A request that was answered; without its query, headers and body, where secrets are.

    Attributes:
        principal: Whom it came from, as far as that is known; empty otherwise.
    """

    method: str
    host: str
    path: str
    status: int
    principal: str


class App:
    """The ASGI application.

    A service is addressed by the `Host` header, or by the host's name as the first part of the path. Clients of the
    metadata server know neither: what is left belongs to it.
    """

    def __init__(self, cloud: Cloud) -> None:
        self.requests: deque[Seen] = deque(maxlen=KEPT_REQUESTS)
        self._services = [
            *(
                (re.compile(re.escape(service.HOST)), _router(service.routes(cloud)))
                for service in (github, iamcredentials, metadata, oauth, resourcemanager, rest, sts)
            ),
            (pythonhost.HOST, _router(pythonhost.routes(cloud))),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        first = scope["path"].split("/")[1] if scope["path"].startswith("/") else ""
        header = dict(scope["headers"]).get(b"host", b"").decode("latin-1").rpartition("@")[2].partition(":")[0]
        for host, root in ((first, f"/{first}"), (header, ""), (metadata.HOST, "")):
            for pattern, router in self._services:
                if match := pattern.fullmatch(host):
                    await self._serve(
                        router, {**scope, "root_path": root, "host_match": match, "principal": ""}, receive, send
                    )
                    return

    async def _serve(self, router: Router, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(scope["root_path"])

        async def record(message: Message) -> None:
            """Keep the record before whoever asked has an answer, and may look into it."""
            if message["type"] == "http.response.start":
                host, who = scope["host_match"][0], scope["principal"]
                self.requests.append(Seen(scope["method"], host, path, message["status"], who))
            await send(message)

        try:
            await router(scope, receive, record)
        except Refusal as refusal:
            await refusal.response(scope, receive, record)


def _router(routes: Iterable[BaseRoute]) -> Router:
    async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("Not Found\n", 404)(scope, receive, send)

    return Router(list(routes), redirect_slashes=False, default=nothing)
