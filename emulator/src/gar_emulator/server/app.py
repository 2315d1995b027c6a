"""The ASGI application: one address for every emulated host, and a record of the requests."""

import re
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Router
from starlette.types import Message, Receive, Scope, Send

from gar_emulator.admin import iam, resourcemanager, serviceusage
from gar_emulator.artifact_registry import api
from gar_emulator.cloud import downloads
from gar_emulator.cloud.cloud import Cloud
from gar_emulator.cloud.refusals import Refusal
from gar_emulator.faults import control
from gar_emulator.faults.faults import Faults
from gar_emulator.faults.wire import Struck, strike
from gar_emulator.packages import host
from gar_emulator.server import page
from gar_emulator.server.hosts import WHY, host_of, is_own
from gar_emulator.tokens import github, iamcredentials, metadata, oauth, sts

KEPT_REQUESTS = 10_000


@dataclass(frozen=True)
class Seen:
    """A request, without its query, headers and body, which may contain secrets.

    Attributes:
        status: HTTP status of the answer; 0 if a fault prevented one.
        principal: The caller, if known; otherwise empty.
        at: Seconds since the epoch.
        why: The reason for a refusal, or the fault that struck; otherwise empty.
    """

    method: str
    host: str
    path: str
    status: int
    principal: str
    at: float = field(default=0.0, compare=False)
    why: str = field(default="", compare=False)


class App:
    """The ASGI application.

    A request names its service by the first part of its path or by its `Host` header. Clients of the metadata server
    do neither, so it gets all other requests.

    Args:
        cloud: The emulated Google.
        faults: The faults to inject.
        refuse: Closes every port for some seconds.
        listening: The names and addresses that the emulator listens on.
    """

    def __init__(
        self,
        cloud: Cloud,
        faults: Faults,
        refuse: Callable[[float], Awaitable[None]],
        listening: Sequence[str] = (),
    ) -> None:
        self.requests: deque[Seen] = deque(maxlen=KEPT_REQUESTS)
        self._cloud = cloud
        self._faults = faults
        self._refuse = refuse
        self._listening = listening
        self._control = _router([control.route(faults), *page.routes(cloud, faults, self.requests)])
        services: list[tuple[Any, str]] = [
            (github, "github"),
            (iamcredentials, "iamcredentials"),
            (metadata, "metadata"),
            (oauth, "oauth"),
            (api, "repository"),
            (sts, "sts"),
            *((service, "") for service in (iam, resourcemanager, serviceusage)),
        ]
        self._services = [
            *(
                _Service(re.compile(re.escape(service.HOST)), _router(service.routes(cloud)), _always(endpoint))
                for service, endpoint in services
            ),
            _Service(host.HOST, _router(host.routes(cloud)), host.endpoint),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        header = host_of(scope)
        if not is_own(header, self._listening) and not any(each.host.fullmatch(header) for each in self._services):
            self.requests.append(Seen(scope["method"], header, scope["path"], 421, "", self._cloud.true_clock(), WHY))
            await PlainTextResponse(f"{WHY}\n", 421)(scope, receive, send)
            return
        if scope["path"] in {control.PATH, page.STATE} or page.is_wanted(scope, header):
            await self._control(scope, receive, send)
            return
        first = scope["path"].split("/")[1] if scope["path"].startswith("/") else ""
        for name, root in ((first, f"/{first}"), (header, ""), (metadata.HOST, "")):
            for service in self._services:
                if match := service.host.fullmatch(name):
                    found = {**scope, "root_path": root, "host_match": match, "principal": ""}
                    await self._serve(service, found, receive, send)
                    return

    async def _serve(self, service: "_Service", scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(scope["root_path"])

        def record(status: int) -> None:
            at, why = self._cloud.true_clock(), scope.get("why", "")
            seen = Seen(scope["method"], scope["host_match"][0], path, status, scope["principal"], at, why)
            self.requests.append(seen)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(raw=message["headers"])["date"] = formatdate(self._cloud.clock(), usegmt=True)
                record(message["status"])  # before the client can have the answer and read the record
            await send(message)

        if path.startswith(downloads.ROOT):
            fault = self._faults.next("redirected", downloads.file_at(self._cloud, path))
        else:
            fault = self._faults.next(service.endpoint(scope["method"], path), path)
        if fault is None:
            await service(scope, receive, answer)
        else:
            scope["why"] = f"fault {fault.fault}"
            end_tokens = self._cloud.keys.end_tokens
            await strike(Struck(fault, service, scope, receive, answer, record, self._refuse, end_tokens))


@dataclass(frozen=True)
class _Service:
    """An emulated host, or several hosts of one kind.

    Attributes:
        host: Matches the host's name.
        endpoint: Returns the endpoint, as faults name it, of a method and path; empty if faults do not reach it.
    """

    host: re.Pattern[str]
    router: Router
    endpoint: Callable[[str, str], str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.router(scope, receive, send)
        except Refusal as refusal:
            scope.setdefault("why", page.reason(refusal.response))
            await refusal.response(scope, receive, send)
        except ClientDisconnect:  # the client is gone
            return


def _always(endpoint: str) -> Callable[[str, str], str]:
    return lambda _method, _path: endpoint


def _router(routes: Iterable[BaseRoute]) -> Router:
    async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("Not Found\n", 404)(scope, receive, send)

    return Router(list(routes), redirect_slashes=False, default=nothing)
