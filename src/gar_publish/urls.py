"""Which URLs are one server, and which are safe to send a credential to."""

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from gar_publish.errors import BadInput


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port of a URL (RFC 6454)."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def host_of(url: str) -> str:
    """The host of a URL, and its port where it names one: what may be shown, without user name and password."""
    return urlsplit(url).netloc.rpartition("@")[2]


def is_loopback(parts: SplitResult) -> bool:
    """Whether a URL leads to this machine."""
    host = parts.hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def refuse_plain_http(url: str, emulator: str | None = None) -> None:
    """Let no credential out unencrypted.

    Args:
        url: Where a credential is about to be sent.
        emulator: The address of the emulator, where plain HTTP is fine.

    Raises:
        BadInput: It is neither HTTPS, nor on this machine, nor the emulator.
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
