"""One address for every host: finds the service that a request is for, and keeps a record of who asked what."""

import re
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Router
from starlette.types import Message, Receive, Scope, Send

from gar_emulator.admin import iam, resourcemanager, serviceusage
from gar_emulator.artifact_registry import api
from gar_emulator.faults import endpoint as admin
from gar_emulator.faults.faults import Faults
from gar_emulator.faults.refusals import Refusal
from gar_emulator.faults.wire import Struck, strike
from gar_emulator.packages import host as pythonhost
from gar_emulator.tokens import github, iamcredentials, metadata, oauth, sts
from gar_emulator.world.cloud import Cloud

KEPT_REQUESTS = 10_000


@dataclass(frozen=True)
class Seen:
    """A request; without its query, headers and body, where secrets are.

    Attributes:
        status: HTTP status of the answer; 0 where a fault let it have none.
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

    Args:
        faults: What goes wrong.
        refuse: Closes every port for some seconds.
    """

    def __init__(self, cloud: Cloud, faults: Faults, refuse: Callable[[float], Awaitable[None]]) -> None:
        self.requests: deque[Seen] = deque(maxlen=KEPT_REQUESTS)
        self._cloud = cloud
        self._faults = faults
        self._refuse = refuse
        self._admin = _router([admin.route(faults)])
        services: dict[str, Any] = {
            "github": github,
            "iamcredentials": iamcredentials,
            "metadata": metadata,
            "oauth": oauth,
            "repository": api,
            "sts": sts,
        }
        self._services = [
            *(
                _Service(re.compile(re.escape(service.HOST)), _router(service.routes(cloud)), _always(endpoint))
                for endpoint, service in services.items()
            ),
            *(
                _Service(re.compile(re.escape(service.HOST)), _router(service.routes(cloud)), _always(""))
                for service in (iam, resourcemanager, serviceusage)
            ),
            _Service(pythonhost.HOST, _router(pythonhost.routes(cloud)), pythonhost.endpoint),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] == admin.PATH:
            await self._admin(scope, receive, send)
            return
        first = scope["path"].split("/")[1] if scope["path"].startswith("/") else ""
        header = dict(scope["headers"]).get(b"host", b"").decode("latin-1").rpartition("@")[2].partition(":")[0]
        for host, root in ((first, f"/{first}"), (header, ""), (metadata.HOST, "")):
            for service in self._services:
                if match := service.host.fullmatch(host):
                    await self._serve(
                        service, {**scope, "root_path": root, "host_match": match, "principal": ""}, receive, send
                    )
                    return

    async def _serve(self, service: "_Service", scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(scope["root_path"])

        def record(status: int) -> None:
            """Keep the record before whoever asked has an answer, and may look into it."""
            self.requests.append(Seen(scope["method"], scope["host_match"][0], path, status, scope["principal"]))

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(raw=message["headers"])["date"] = formatdate(self._cloud.clock(), usegmt=True)
                record(message["status"])
            await send(message)

        fault = self._faults.next(service.endpoint(scope["method"], path))
        if fault is None:
            await service(scope, receive, answer)
        else:
            await strike(Struck(fault, service, scope, receive, answer, record, self._refuse))


@dataclass(frozen=True)
class _Service:
    """An emulated host, or several of one kind; `endpoint` says what faults call a method and path of it."""

    host: re.Pattern[str]
    router: Router
    endpoint: Callable[[str, str], str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.router(scope, receive, send)
        except Refusal as refusal:
            await refusal.response(scope, receive, send)
        except ClientDisconnect:  # nobody waits for an answer any more
            return


def _always(endpoint: str) -> Callable[[str, str], str]:
    return lambda _method, _path: endpoint


def _router(routes: Iterable[BaseRoute]) -> Router:
    async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("Not Found\n", 404)(scope, receive, send)

    return Router(list(routes), redirect_slashes=False, default=nothing)
