"""The emulator's certificate authority, and its certificate for all emulated hosts."""

import os
import ssl
from collections.abc import Iterable
from pathlib import Path

import certifi
import trustme

from gar_emulator.cloud.data_folder import reading

NAMES = (
    "*.googleapis.com",
    "*.pkg.dev",
    "*.actions.githubusercontent.com",
    "metadata.google.internal",
    "localhost",
    "host.docker.internal",
    "127.0.0.1",
    "::1",
)


def make_context(folder: Path, addresses: Iterable[str]) -> ssl.SSLContext:
    """Return the server's TLS context. The authority is `ca.pem` in the data folder, created at the first call."""
    folder.mkdir(parents=True, exist_ok=True)
    certificate, key = folder / "ca.pem", folder / "keys" / "ca-key.pem"
    if not (certificate.exists() and key.exists()):
        authority = trustme.CA(organization_name="gar-publish emulator")
        _write_secret(key, authority.private_key_pem.bytes())
        certificate.write_bytes(authority.cert_pem.bytes())
    with reading(certificate):
        authority = trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*dict.fromkeys((*NAMES, *addresses))).configure_cert(context)
    return context


def write_bundle(folder: Path, environment_bundle: str | None) -> Path:
    """Write a file with the emulator's authority and the usual ones, for programs that read one file; return it."""
    trusted = Path(environment_bundle) if environment_bundle else Path(certifi.where())
    bundle = folder / "ca-bundle.pem"
    bundle.write_bytes(trusted.read_bytes() + b"\n" + (folder / "ca.pem").read_bytes())
    return bundle


def _write_secret(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(content)
