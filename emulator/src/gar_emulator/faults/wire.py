"""What each fault does to a request."""

import asyncio
import math
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gar_emulator.cloud.cloud import skewed
from gar_emulator.faults.connection import Connection
from gar_emulator.world.fault import Fault

REFUSED_SECONDS = 0.2
DRIP_SECONDS = 0.01
GARBAGE_SIZE = 64
"""Bytes of garbage if the real answer has no body."""

CHALLENGE = {"WWW-Authenticate": 'Basic realm="emulator"'}


@dataclass(frozen=True)
class Struck:
    """A request that a fault strikes.

    Attributes:
        service: The application that serves the request.
        send: Sends the answer and records its status.
        record: Records the status of an answer that does not use `send`; 0 = no answer.
        refuse: Closes every port for some seconds.
        end_tokens: Ends every access token that was issued so far.
    """

    fault: Fault
    service: ASGIApp
    scope: Scope
    receive: Receive
    send: Send
    record: Callable[[int], None]
    refuse: Callable[[float], Awaitable[None]]
    end_tokens: Callable[[], None]

    @property
    def connection(self) -> Connection:
        connection: Connection = self.scope["state"]["connection"]
        return connection

    async def serve(self, send: Send | None = None) -> None:
        await self.service(self.scope, self.receive, send or self.send)

    async def read_body(self) -> None:
        while (await self.receive()).get("more_body"):
            pass

    async def reset(self) -> None:
        self.record(0)
        self.connection.reset()
        await self.closed()

    async def closed(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass


async def strike(struck: Struck) -> None:
    await _STRIKES[struck.fault.fault](struck)


# No answer


async def _refused(struck: Struck) -> None:
    await struck.refuse(struck.fault.seconds or REFUSED_SECONDS)
    await struck.reset()


async def _reset_after_body(struck: Struck) -> None:
    await struck.read_body()
    await struck.reset()


async def _accepted_lost(struck: Struck) -> None:
    await struck.serve(_discard)
    await struck.reset()


async def _silence(struck: Struck) -> None:
    struck.record(0)
    struck.connection.held = True
    await struck.closed()


# Another answer


async def _status(struck: Struck) -> None:
    await struck.read_body()
    await _answer(struck, int(struck.fault.fault))


async def _closed_early(struck: Struck) -> None:
    struck.connection.end_with_answer(reset=struck.fault.fault == "403-reset")
    await _answer(struck, HTTPStatus.FORBIDDEN)


async def _accepted_5xx(struck: Struck) -> None:
    await struck.serve(_discard)
    await _answer(struck, HTTPStatus.SERVICE_UNAVAILABLE)


async def _answer(struck: Struck, status: int) -> None:
    headers = dict(CHALLENGE) if status == HTTPStatus.UNAUTHORIZED else {}
    if struck.fault.seconds and struck.fault.fault in {"429", "503"}:
        headers["Retry-After"] = str(math.ceil(struck.fault.seconds))
    answer = PlainTextResponse(f"{HTTPStatus(status).phrase}\n", status, headers)
    await answer(struck.scope, struck.receive, struck.send)


# A changed answer


async def _drip(struck: Struck) -> None:
    status, headers, body = 0, list[tuple[bytes, bytes]](), bytearray()

    async def collect(message: Message) -> None:
        nonlocal status, headers
        if message["type"] == "http.response.start":
            status, headers = message["status"], message["headers"]
        elif struck.scope["method"] != "HEAD":
            body.extend(message.get("body", b""))

    await struck.serve(collect)
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
    lines += [name + b": " + value for name, value in [*headers, (b"connection", b"close")]]
    transport = struck.connection.transport
    struck.connection.held = True
    struck.record(status)
    closed = asyncio.create_task(struck.closed())
    for byte in b"\r\n".join([*lines, b"", bytes(body)]):
        transport.write(bytes([byte]))
        if (await asyncio.wait({closed}, timeout=struck.fault.seconds or DRIP_SECONDS))[0]:
            return
    transport.close()
    await closed


async def _cut_body(struck: Struck) -> None:
    left = 0

    async def cut(message: Message) -> None:
        nonlocal left
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=message["headers"])
            length = int(headers.get("content-length", "0"))
            left = length // 2
            headers["content-length"] = str(length or 1)  # without a body, one byte is announced
            await struck.send(message)
        elif left:
            part = message.get("body", b"")[:left]
            left -= len(part)
            await struck.send({**message, "body": part, "more_body": True})

    await struck.serve(cut)
    struck.connection.transport.close()
    await struck.closed()


async def _garbage_body(struck: Struck) -> None:
    empty = False

    async def garble(message: Message) -> None:
        nonlocal empty
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=message["headers"])
            empty = headers.get("content-length", "0") == "0"
            if empty:
                headers["content-length"] = str(GARBAGE_SIZE)
            await struck.send(message)
        else:
            size = GARBAGE_SIZE if empty else len(message.get("body", b""))
            # No UTF-8 text starts with this byte, so garbage is never valid JSON.
            await struck.send({**message, "body": (b"\xff" + os.urandom(size))[:size]})

    await struck.serve(garble)


async def _wrong_content_type(struck: Struck) -> None:
    async def mislabel(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(raw=message["headers"])["content-type"] = "image/png"
        await struck.send(message)

    await struck.serve(mislabel)


async def _lag(struck: Struck) -> None:
    struck.scope["lag"] = struck.fault.seconds
    await struck.serve()


async def _skew(struck: Struck) -> None:
    with skewed(struck.fault.seconds):
        await struck.serve()


async def _token_ended(struck: Struck) -> None:
    struck.end_tokens()
    await struck.serve()


async def _discard(message: Message) -> None:
    pass


_STRIKES: dict[str, Callable[[Struck], Awaitable[None]]] = {
    "refused": _refused,
    "reset-before-body": Struck.reset,
    "reset-after-body": _reset_after_body,
    "silence": _silence,
    "drip": _drip,
    **dict.fromkeys(("401", "403", "404", "408", "429", "500", "502", "503", "504"), _status),
    "cut-body": _cut_body,
    "garbage-body": _garbage_body,
    "wrong-content-type": _wrong_content_type,
    "accepted-5xx": _accepted_5xx,
    "accepted-lost": _accepted_lost,
    **dict.fromkeys(("403-closed", "403-reset"), _closed_early),
    "lag": _lag,
    "skew": _skew,
    "token-ended": _token_ended,
}
