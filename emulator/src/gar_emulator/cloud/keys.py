"""The keys that sign the emulator's tokens, and the JSON keys of its service accounts."""

import base64
import binascii
import hashlib
import json
import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from jwt.algorithms import RSAAlgorithm

from gar_emulator.cloud.data_folder import reading
from gar_emulator.world.iam import CLOUD_PLATFORM

SECRET_SIZE = 32
_A_YEAR = 365 * 24 * 3600.0


@dataclass(frozen=True)
class Identity:
    """The principal of a token, as IAM sees it.

    Attributes:
        principal: `serviceAccount:EMAIL`, `user:EMAIL`, or `principal://…/subject/SUBJECT`.
        scopes: The OAuth scopes of the token.
        members: Every IAM member that includes this principal.
        client_project: The number of the project whose program a user has logged in to; empty for others.
        attributes_size: The bytes of all mapped attributes together.
    """

    principal: str
    scopes: frozenset[str]
    members: frozenset[str] = field(repr=False)
    client_project: str = ""
    attributes_size: int = 0

    @property
    def federated(self) -> bool:
        return self.principal.startswith("principal:")


def identity(principal: str, scopes: frozenset[str], attributes: Mapping[str, Any]) -> Identity:
    """Return an identity with its IAM members: https://cloud.google.com/iam/docs/principal-identifiers"""
    members = {principal, "allUsers", "allAuthenticatedUsers"}
    if principal.startswith("principal:"):
        pool = principal.partition("/subject/")[0].replace("principal:", "principalSet:", 1)
        members.add(f"{pool}/*")
        members.update(f"{pool}/group/{group}" for group in attributes.get("google.groups", ()))
        members.update(f"{pool}/{name}/{value}" for name, value in attributes.items() if name.startswith("attribute."))
    size = sum(len(str(value).encode()) for value in attributes.values())
    return Identity(principal, scopes, frozenset(members), attributes.get("client_project", ""), size)


class Keys:
    """Signs and reads tokens.

    Access tokens contain their claims, so the emulator stores none and all survive a restart.
    """

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder
        self._clock = clock
        self._ended = 0
        with reading(folder / "tokens.key"):
            self._secret = _read_or_create(folder / "tokens.key", lambda: secrets.token_bytes(SECRET_SIZE))
            if len(self._secret) != SECRET_SIZE:
                raise ValueError
        with reading(folder / "github.pem"):
            pem = _read_or_create(folder / "github.pem", _new_rsa)
            self._github = _load_rsa(pem)
        self._key_id = hashlib.sha256(pem).hexdigest()[:32]

    def access_token(
        self, principal: str, scopes: frozenset[str], lifetime: float, attributes: Mapping[str, Any] | None = None
    ) -> str:
        content = {
            "principal": principal,
            "scopes": sorted(scopes),
            "issued": time.time_ns(),
            "expires": self._clock() + lifetime,
            "attributes": dict(attributes or {}),
            "nonce": secrets.token_hex(8),
        }
        prefix = "ya29.d." if principal.startswith("principal:") else "ya29."
        return prefix + self._encode(content)

    def access_token_file(self, account: str) -> Path:
        """Write a new token of an account, which lasts a year, to a file that only its owner can read."""
        file = self._folder / f"{account}.token"
        file.unlink(missing_ok=True)
        scopes = frozenset([CLOUD_PLATFORM])
        _read_or_create(file, lambda: self.access_token(f"serviceAccount:{account}", scopes, _A_YEAR).encode())
        return file

    def read_access_token(self, token: str) -> Identity | None:
        """Return the identity of an access token; None if the token is unknown or has expired."""
        content = self._decode(token.removeprefix("ya29.").removeprefix("d.")) if token.startswith("ya29.") else {}
        if "principal" not in content or content["expires"] <= self._clock() or content["issued"] < self._ended:
            return None
        return identity(content["principal"], frozenset(content["scopes"]), content["attributes"])

    def end_tokens(self) -> None:
        """End every access token that was issued so far, until the emulator starts again."""
        self._ended = time.time_ns()

    def request_token(self, claims: Mapping[str, Any]) -> str:
        """Return the token with which a workflow job asks for ID tokens; it contains the job's claims."""
        return self._encode({"job": dict(claims)})

    def read_request_token(self, token: str) -> dict[str, Any] | None:
        found: dict[str, Any] | None = self._decode(token).get("job")
        return found

    def refresh_token(self, user: str) -> str:
        """Return the token of a user's login (an e-mail address)."""
        return self._encode({"user": user})

    def read_refresh_token(self, token: str) -> str | None:
        user: str | None = self._decode(token).get("user")
        return user

    def _encode(self, content: dict[str, Any]) -> str:
        return jwt.encode(content, self._secret, "HS256")

    def _decode(self, token: str) -> dict[str, Any]:
        """Return the content of a token that `_encode` returned; an empty one for any other."""
        try:
            return jwt.decode(token, self._secret, ["HS256"])
        except jwt.InvalidTokenError:
            return {}

    def download_token(self, file: str, length: int) -> str:
        """Return a token for the contents of a file, of at least this length."""
        padding = "x" * (length * 3 // 4)  # base64 makes four characters of three
        return self._encode({"file": file, "padding": padding})

    def read_download_token(self, token: str) -> str:
        """Return the file of a download token; empty for any other token."""
        return str(self._decode(token).get("file", ""))

    def id_token(self, claims: Mapping[str, Any]) -> str:
        return jwt.encode(dict(claims), self._github, "RS256", headers={"kid": self._key_id})

    @property
    def github_jwks(self) -> dict[str, Any]:
        public = RSAAlgorithm.to_jwk(self._github.public_key(), as_dict=True)
        return {"keys": [{**public, "kid": self._key_id, "alg": "RS256", "use": "sig"}]}

    def account_key(self, account: str) -> dict[str, str]:
        """Return the JSON key of a service account, created at the first call."""
        file = self.account_key_file(account)
        with reading(file):
            key = json.loads(_read_or_create(file, lambda: _new_account_key(account)))
            if key["client_email"] != account:
                raise ValueError
            return cast("dict[str, str]", key)

    def account_key_file(self, account: str) -> Path:
        return self._folder / f"{account}.json"

    def verifying_key(self, account: str) -> RSAPublicKey:
        with reading(self.account_key_file(account)):
            return _load_rsa(self.account_key(account)["private_key"].encode()).public_key()


def _read_or_create(file: Path, make: Callable[[], bytes]) -> bytes:
    if not file.exists():
        draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(make())
        draft.replace(file)
    return file.read_bytes()


def _new_rsa() -> bytes:
    return generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _load_rsa(pem: bytes) -> RSAPrivateKey:
    # The emulator made this key. Checking its primes again would take longer than the rest of the start.
    key = serialization.load_pem_private_key(pem, password=None, unsafe_skip_rsa_key_validation=True)
    return cast("RSAPrivateKey", key)


def _new_account_key(account: str) -> bytes:
    """Return a new key as JSON: https://cloud.google.com/iam/docs/keys-create-delete#creating"""
    project = account.partition("@")[2].removesuffix(".iam.gserviceaccount.com")
    content = {
        "type": "service_account",
        "project_id": project,
        "private_key_id": secrets.token_hex(20),
        "private_key": _new_rsa().decode(),
        "client_email": account,
        "client_id": str(secrets.randbelow(10**21)).zfill(21),
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token",
        "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
        "client_x509_cert_url": f"https://www.googleapis.com/robot/v1/metadata/x509/{account.replace('@', '%40')}",
        "universe_domain": "googleapis.com",
    }
    return json.dumps(content, indent=2).encode()


def decode_basic(value: str) -> tuple[str, str]:
    """Return user and password of an `Authorization: Basic` value; both empty if it is malformed."""
    try:
        user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password
