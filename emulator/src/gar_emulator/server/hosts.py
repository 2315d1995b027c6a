"""The `Host` header: which names are the emulator's own.

A web page can reach this machine by any name that its author lets resolve to it (DNS rebinding), but cannot choose the
header. No such name is an IP address.
"""

import re
import socket
from collections.abc import Iterable
from ipaddress import ip_address

from starlette.types import Scope

NAMES = ("localhost", "host.docker.internal", "metadata", "metadata.google.internal")
WHY = (
    "The Host header names another server. Use the address 127.0.0.1, or start the emulator with the name that you "
    "use: `--host NAME`."
)
_HEADER = re.compile(r"(?:\[([0-9a-f:.]+)\]|([a-z0-9.-]+))(?::[0-9]*)?", re.IGNORECASE)


def host_of(scope: Scope) -> str:
    """Return the name or address in the `Host` header, in lower case; empty unless there is one valid header."""
    headers = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    match = _HEADER.fullmatch(headers[0]) if len(headers) == 1 else None
    return (match[1] or match[2]).lower().rstrip(".") if match else ""


def is_own(name: str, listening: Iterable[str]) -> bool:
    """Return whether a name is the emulator's own, or an IP address.

    Args:
        name: The name of a `Host` header, in lower case.
        listening: The names and addresses that the emulator listens on.
    """
    if name in {*NAMES, *listening, socket.gethostname().lower()}:
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
