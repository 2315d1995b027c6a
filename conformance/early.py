"""What follows a refusal of a large upload: seen on the connection itself, which clients hide."""

import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from ssl import SSLEOFError
from typing import Any
from urllib.parse import urlsplit

import requests

from conformance.calls import Client, Credential, NotObserved
from gar_publish.certificates import ssl_context

HEAD_LIMIT = 64 * 1024
ANNOUNCED = 2 * 1024 * 1024
"""Bytes of the upload, of which only the beginning is sent."""

ENDING = 5.0
"""Seconds to wait for the rest of an answer and the end of the connection."""


def after_refusal(
    client: Client, host: str, path: str, credential: Credential, *, upload: Mapping[str, Any], seconds: float
) -> str:
    """Send the beginning of a large upload, and return what happens: "closed", "reset" or "never".

    Args:
        client: Knows the address of the host.
        host: The Python host.
        path: The repository's path.
        credential: Who may not upload.
        upload: The form, as options of `Client.call`.
        seconds: How long to wait for an answer before the rest would be sent.

    Raises:
        NotObserved: There is no connection, or it stays open after the answer.
    """
    address = urlsplit(client.address(host) + path)
    request = requests.Request("POST", address.geturl(), **upload).prepare()
    body = request.body if isinstance(request.body, bytes) else b""
    lines = {
        "Host": address.netloc,
        "Authorization": credential.header,
        "Content-Type": request.headers["Content-Type"],
        "Content-Length": str(ANNOUNCED),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    start = time.monotonic()
    try:
        with _connect(address.scheme, str(address.hostname), address.port, client.timeouts[0]) as connection:
            connection.sendall(f"POST {address.path} HTTP/1.1\r\n{head}\r\n".encode() + body)
            answer, ended = _answer(connection, seconds)
    except OSError as error:
        raise NotObserved(f"there is no direct connection to {host}: {type(error).__name__}") from error
    if answer:
        _keep(client, f"POST {host}{path}", credential, answer, start)
    if ended == "open":
        if answer:
            raise NotObserved("the connection stays open after an early answer")
        return "never"
    return ended


def _connect(scheme: str, host: str, port: int | None, seconds: float) -> socket.socket:
    plain = socket.create_connection((host, port or {"http": 80, "https": 443}[scheme]), seconds)
    return ssl_context().wrap_socket(plain, server_hostname=host) if scheme == "https" else plain


def _answer(connection: socket.socket, seconds: float) -> tuple[bytes, str]:
    """Return the answer that begins in time, and whether the connection is then "closed", "reset" or still "open"."""
    received = b""
    end = time.monotonic() + seconds
    try:
        while (left := end - time.monotonic()) > 0:
            connection.settimeout(left)
            chunk = connection.recv(4096)
            if not chunk:
                return received, "closed"
            end = end if received else time.monotonic() + ENDING
            received += chunk
            if len(received) > HEAD_LIMIT:
                raise NotObserved("the answer to a large upload is too long")
    except TimeoutError:
        pass
    except SSLEOFError:
        return received, "closed"
    except ConnectionResetError:
        return received, "reset"
    return received, "open"


def _keep(client: Client, request: str, credential: Credential, answer: bytes, start: float) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines if ": " in line)
    with suppress(ValueError, IndexError):
        client.keep(request, credential, status=int(status.split()[1]), headers=headers, body=body, start=start)
