"""Authentication on the Python host: every form of user name and password that it accepts.

https://cloud.google.com/artifact-registry/docs/python/authentication
"""

import base64
import binascii
import hmac
import json
from typing import Any

from starlette.requests import Request

from gar_emulator.cloud.cloud import Cloud
from gar_emulator.cloud.keys import Identity, decode_basic, identity
from gar_emulator.cloud.refusals import host_text
from gar_emulator.world.iam import CLOUD_PLATFORM
from gar_emulator.world.switches import Switches


def challenge(switches: Switches) -> dict[str, str]:
    """Return the headers of a 401."""
    return {"WWW-Authenticate": 'Basic realm="Artifact Registry"'} if switches.challenge else {}


def caller(cloud: Cloud, request: Request) -> Identity | None:
    """Return the caller; None for a request without credentials.

    Raises:
        Refusal: 401, for invalid credentials.
    """
    switches = cloud.switches
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if not scheme:
        return None
    who: Identity | None = None
    if scheme.lower() == "bearer" and switches.bearer_tokens:
        who = cloud.identify(value.strip())
    elif scheme.lower() == "basic":
        user, password = decode_basic(value.strip())
        if user == "oauth2accesstoken":
            who = cloud.identify(password)
        elif user == "_json_key_base64" or (user == "_json_key" and switches.json_key_user):
            who = _key_owner(cloud, password, encoded=user == "_json_key_base64")
    if who is None or (who.federated and not switches.federated_tokens):
        raise host_text(switches, 401, "Request had invalid authentication credentials.", challenge(switches))
    request.scope["principal"] = who.principal
    return who


def _key_owner(cloud: Cloud, password: str, *, encoded: bool) -> Identity | None:
    """Return the account of the JSON key that is the password, as it is or encoded in base64."""
    try:
        key: Any = json.loads(base64.b64decode(password, validate=True) if encoded else password)
        email, secret = str(key["client_email"]), str(key["private_key"])
    except (binascii.Error, ValueError, KeyError, TypeError):
        return None
    account = cloud.account(email)
    declared = any(item.account == email and not item.disabled for item in cloud.world.keys)
    if account is None or account.disabled or not declared:
        return None
    if not hmac.compare_digest(secret.encode(), cloud.keys.account_key(email)["private_key"].encode()):
        return None
    return identity(f"serviceAccount:{email}", frozenset({CLOUD_PLATFORM}), {})
