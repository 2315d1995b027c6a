"""Comparing URLs, and checking where a credential may be sent."""

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from gar_publish.errors import BadInput


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Return scheme, host and port of a URL (RFC 6454)."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def host_of(url: str) -> str:
    """Return the host and port of a URL for messages, without user name and password."""
    return urlsplit(url).netloc.rpartition("@")[2]


def is_loopback(parts: SplitResult) -> bool:
    """Return whether the host of a URL is this machine."""
    host = parts.hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def refuse_plain_http(url: str, emulator: str | None = None) -> None:
    """Refuse a URL that a credential must not be sent to, because it is not encrypted.

    Args:
        url: The URL that a credential is about to be sent to.
        emulator: The address of the emulator, where plain HTTP is allowed.

    Raises:
        BadInput: The URL is neither HTTPS, nor this machine, nor the emulator.
    """
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts)):
        return
    if emulator and origin(url) == origin(emulator):
        return
    raise BadInput(
        f"{parts.scheme or 'no scheme'}://{host_of(url)} is not encrypted, so no token is sent there.",
        fix=f"use https://{host_of(url)}",
        anchor="plain-http",
    )
