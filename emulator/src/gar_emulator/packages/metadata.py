"""The metadata of wheels, as files beside them (PEP 658)."""

import zipfile
from pathlib import Path

from starlette.responses import PlainTextResponse, Response

from gar_emulator.cloud.refusals import text


def described(filename: str) -> str:
    """Return the wheel that a `.metadata` file describes, or any other name as it is."""
    wheel = filename.removesuffix(".metadata")
    return wheel if wheel.endswith(".whl") else filename


def of_wheel(path: Path) -> Response:
    """Return the answer with the `METADATA` of a wheel.

    Raises:
        Refusal: 404, if it has none.
    """
    try:
        with zipfile.ZipFile(path) as wheel:
            (name,) = (each for each in wheel.namelist() if each.endswith(".dist-info/METADATA"))
            return PlainTextResponse(wheel.read(name))
    except (zipfile.BadZipFile, ValueError):
        raise text(404, "The requested entity was not found.") from None
