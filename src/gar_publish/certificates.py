"""The certificate authorities that gar-publish and uv trust: those of the system, as in pip, or those of a variable."""

import os
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from gar_publish.errors import BadInput

if TYPE_CHECKING:
    from ssl import SSLContext

_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_LINUX_STORES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Used where Python's OpenSSL was built for another distribution."""
_NO_CERTIFICATES = "has no certificates in PEM format"
_loading = Lock()


def check() -> None:
    """Raise if a variable names no usable file or folder of certificates.

    Raises:
        BadInput: It does.
    """
    for name, path in _named(os.environ):
        try:
            fault = _fault(name, path)
        except OSError as error:
            fault = f"cannot be read: {error.strerror}"
        if fault:
            raise _unusable(name, path, fault)


def how_to_trust(name: str = "") -> str:
    """Return the fix: a certificate for this variable, by default for the one that counts."""
    if name == "SSL_CERT_DIR":
        return "set SSL_CERT_DIR to a folder that `openssl rehash` has prepared, or unset it"
    name = name or next((each for each, _ in _named(os.environ) if each in _BUNDLES), "SSL_CERT_FILE")
    return f"set {name} to a file with the CA's certificate in PEM format (in a workflow: `env:` of the step)"


def ssl_context() -> "SSLContext":
    """Return the context of all connections. It is shared, since loading certificates takes 20 ms.

    Raises:
        BadInput: A variable names a file without certificates.
    """
    with _loading:
        return _load(_named(os.environ))


def for_uv(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that make uv trust the same authorities."""
    for name, path in _named(environment):
        if name in _BUNDLES:
            return {"SSL_CERT_DIR" if Path(path).is_dir() else "SSL_CERT_FILE": path}
    if {"UV_SYSTEM_CERTS", "UV_NATIVE_TLS"} & set(environment) or not (_uses_truststore() or _has_default_store()):
        return {}
    return {"UV_SYSTEM_CERTS": "true"}


def _fault(name: str, path: str) -> str:
    """Return what is wrong with a variable's path, as far as a look shows it. Loading takes longer."""
    folders = path.split(os.pathsep) if name == "SSL_CERT_DIR" else [path]
    if any(Path(each).is_dir() for each in folders):
        return ""
    if not any(Path(each).exists() for each in folders):
        return "does not exist"
    if name == "SSL_CERT_DIR":
        return "is not a folder"
    # A pipe, as the shell's <(…) is, can be read only once.
    if Path(path).is_file() and b"CERTIFICATE-----" not in Path(path).read_bytes():
        return _NO_CERTIFICATES
    return ""


def _named(environment: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the variables that count, with their values: a bundle replaces the system's store."""
    given = [(name, value) for name in (*_BUNDLES, "SSL_CERT_FILE", "SSL_CERT_DIR") if (value := environment.get(name))]
    return tuple(given[:1] if given and given[0][0] in _BUNDLES else given)


@cache
def _load(named: tuple[tuple[str, str], ...]) -> "SSLContext":
    import ssl  # connections begin before it is loaded

    bundled = bool(named) and named[0][0] in _BUNDLES
    if not bundled and _uses_truststore():
        import truststore

        context: SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if not bundled:
            context.load_default_certs()
            if not _has_default_store():
                import certifi

                context.load_verify_locations(next(filter(os.path.isfile, _LINUX_STORES), certifi.where()))
    for name, path in named:
        folder = Path(path).is_dir() or name == "SSL_CERT_DIR"
        try:
            context.load_verify_locations(cafile=None if folder else path, capath=path if folder else None)
        except OSError:
            raise _unusable(name, path, _NO_CERTIFICATES) from None
    context.hostname_checks_common_name = False  # RFC 9110, section 4.3.4
    context.set_alpn_protocols(["http/1.1"])
    return context


def _uses_truststore() -> bool:
    """Return whether the system's store is not files. On Linux, truststore would load the files in each handshake."""
    return sys.platform in {"darwin", "win32"}


def _has_default_store() -> bool:
    """Return whether OpenSSL finds certificates where the system or a variable has them."""
    import ssl

    paths = ssl.get_default_verify_paths()
    folders = os.environ.get(paths.openssl_capath_env) or paths.openssl_capath
    return bool(paths.cafile) or any(any(Path(each).glob("*.[0-9]")) for each in folders.split(os.pathsep))


def _unusable(name: str, path: str, why: str) -> BadInput:
    return BadInput(
        f"{name} names {path}, which {why}.",
        cause="the path is wrong, or the file is not mounted in this container",
        fix=how_to_trust(name),
        anchor="certificate-file",
    )
