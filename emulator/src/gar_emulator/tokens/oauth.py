"""OAuth: access tokens in exchange for the signed assertions of service-account keys, or for a user's login.

https://developers.google.com/identity/protocols/oauth2/service-account
https://developers.google.com/identity/protocols/oauth2/native-app#offline
The order of the checks is Google's (see docs/fidelity.md).
"""

from collections.abc import Mapping
from typing import Any

import jwt
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gar_emulator.cloud.cloud import Cloud
from gar_emulator.cloud.refusals import Refusal, oauth
from gar_emulator.world.iam import CLOUD_PLATFORM, SCOPE

HOST = "oauth2.googleapis.com"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
#: The program that `gcloud auth application-default login` logs in to; its project's number comes first.
GCLOUD_CLIENT = "764086051850-6qr4p6gpi6hn506pt8ejuq83di341hur.apps.googleusercontent.com"
AUDIENCES = (f"https://{HOST}/token", "https://accounts.google.com/o/oauth2/token")
LIFETIME = 3599
LONGEST = 3600
SKEW = 300
#: The checks of times and audience are below, in Google's order and words.
UNCHECKED: Any = {f"verify_{name}": False for name in ("aud", "exp", "nbf", "iat")}


def routes(cloud: Cloud) -> list[Route]:
    async def token(request: Request) -> Response:
        form = await request.form()
        if form.get("grant_type") == "refresh_token":
            return _refreshed(cloud, {name: str(value) for name, value in form.items()})
        if form.get("grant_type") != GRANT:
            raise oauth(400, "unsupported_grant_type", "Invalid grant_type: " + str(form.get("grant_type", "")))
        email, scopes = check(cloud, str(form.get("assertion", "")))
        principal = f"serviceAccount:{email}"
        request.scope["principal"] = principal
        if not any(scope.startswith(SCOPE) for scope in scopes):
            return JSONResponse({"id_token": cloud.keys.id_token({"iss": "https://accounts.google.com", "sub": email})})
        access = cloud.keys.access_token(principal, scopes, LIFETIME)
        return JSONResponse({"access_token": access, "expires_in": LIFETIME, "token_type": "Bearer"})

    return [Route("/token", token, methods=["POST"])]


def _refreshed(cloud: Cloud, form: Mapping[str, str]) -> Response:
    user = cloud.keys.read_refresh_token(form.get("refresh_token", ""))
    if user is None:
        raise oauth(400, "invalid_grant", "Token has been expired or revoked.")
    client = {"client_project": form.get("client_id", "").partition("-")[0]}
    access = cloud.keys.access_token(f"user:{user}", frozenset({CLOUD_PLATFORM}), LIFETIME, client)
    return JSONResponse(
        {"access_token": access, "expires_in": LIFETIME, "scope": CLOUD_PLATFORM, "token_type": "Bearer"}
    )


def check(cloud: Cloud, assertion: str) -> tuple[str, frozenset[str]]:
    """Return the account of an assertion, and the scopes that it requests.

    Raises:
        Refusal: 400, for an invalid assertion.
    """
    try:
        header = jwt.get_unverified_header(assertion)
        claims: dict[str, Any] = jwt.decode(assertion, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        raise oauth(400, "invalid_request", "Bad Request") from None
    email = str(claims.get("iss", ""))
    owner = _check_signature(cloud, email, header, assertion)
    account = cloud.account(email)
    if account is None:
        raise oauth(400, "invalid_grant", "Invalid grant: account not found")
    if owner != email:
        raise _invalid_signature()
    if account.disabled:
        raise oauth(400, "invalid_grant", "Invalid grant: account disabled")
    _check_times(claims, cloud.clock())
    scopes = frozenset(str(claims.get("scope", "")).split())
    if not scopes:
        raise oauth(400, "invalid_scope", "Invalid OAuth scope or ID token audience provided.")
    if claims.get("aud") not in AUDIENCES:
        raise oauth(400, "invalid_grant", "Invalid JWT: Failed audience check.")
    return email, scopes


def _check_signature(cloud: Cloud, email: str, header: dict[str, Any], assertion: str) -> str:
    """Check the signature with the key that the header names, or with the account's own key.

    Returns:
        The account whose key it is.
    """
    owners = [key.account for key in cloud.world.keys if not key.disabled]
    named = {cloud.keys.account_key(owner)["private_key_id"]: owner for owner in owners}
    owner = named.get(header["kid"]) if "kid" in header else email if email in owners else None
    try:
        if owner is None:
            raise jwt.InvalidSignatureError
        jwt.decode(assertion, cloud.keys.verifying_key(owner), algorithms=["RS256"], options=UNCHECKED)
    except jwt.InvalidTokenError:
        raise _invalid_signature() from None
    return owner


def _invalid_signature() -> Refusal:
    return oauth(400, "invalid_grant", "Invalid JWT Signature.")


def _check_times(claims: dict[str, Any], now: float) -> None:
    issued, expires = claims.get("iat"), claims.get("exp")
    if not isinstance(issued, (int, float)):
        raise oauth(400, "invalid_grant", "Invalid JWT: iat (issued at) is not set.")
    if not isinstance(expires, (int, float)):
        raise oauth(400, "invalid_grant", "Invalid JWT: exp (expiration time) is not set.")
    if issued > now + SKEW or expires < now - SKEW or expires - issued > LONGEST:
        raise oauth(
            400,
            "invalid_grant",
            "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
            "Check your iat and exp values in the JWT claim.",
        )
