"""`/emulator/faults`, which shows and changes the active faults."""

import json
from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gar_emulator.faults.faults import Faults
from gar_emulator.world.fault import Fault
from gar_emulator.world.toml_records import InvalidTable, record

PATH = "/emulator/faults"


def route(faults: Faults) -> Route:
    async def answer(request: Request) -> Response:
        if request.method == "DELETE":
            faults.replace([])
        elif request.method == "PUT":
            try:
                faults.replace(_read(await request.body()))
            except InvalidTable as error:
                return PlainTextResponse(f"Invalid faults: {error}.\n", 400)
        return JSONResponse([{**asdict(fault), "struck": struck} for fault, struck in faults.struck])

    return Route(PATH, answer, methods=["GET", "PUT", "DELETE"])


def _read(body: bytes) -> list[Fault]:
    try:
        tables = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidTable(f"the body is not JSON ({error})") from None
    if not isinstance(tables, list):
        raise InvalidTable("the body is not a list")
    return [record(Fault, table, f"number {number}") for number, table in enumerate(tables, 1)]
