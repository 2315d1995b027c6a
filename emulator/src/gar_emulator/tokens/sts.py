"""The Security Token Service: federated access tokens in exchange for subject tokens.

https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import jwt
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gar_emulator.cloud.cloud import Cloud
from gar_emulator.cloud.refusals import oauth
from gar_emulator.tokens.github import ISSUERS
from gar_emulator.tokens.oauth import UNCHECKED
from gar_emulator.world.world import Provider

HOST = "sts.googleapis.com"
GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a type's name
SUBJECT_TYPES = ("urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token")
_AUDIENCE = re.compile(
    r"//iam\.googleapis\.com/projects/([^/]+)/locations/global/workloadIdentityPools/([^/]+)/providers/([^/]+)"
)
SKEW = 60
OLDEST = 3600
LONGEST = 3600


def routes(cloud: Cloud) -> list[Route]:
    async def token(request: Request) -> Response:
        fields = await _fields(request)
        if fields.get("grant_type") != GRANT:
            raise oauth(400, "unsupported_grant_type", "The grant type is not supported.")
        provider, pool = _provider(cloud, fields.get("audience", ""))
        if fields.get("requested_token_type", ACCESS_TOKEN) != ACCESS_TOKEN:
            raise oauth(400, "invalid_request", 'Invalid value for "requested_token_type".')
        if fields.get("subject_token_type") not in SUBJECT_TYPES:
            raise oauth(400, "invalid_request", 'Invalid value for "subject_token_type".')
        scopes = frozenset(fields.get("scope", "").split())
        if not scopes:
            raise oauth(400, "invalid_scope", "At least one scope is required.")
        claims = verify(cloud, provider, fields["audience"], fields.get("subject_token", ""))

        from gar_emulator.tokens.cel import admit  # CEL takes long to load

        mapped = admit(provider, claims, cloud.switches.attribute_condition_status)
        principal = f"principal://iam.googleapis.com/{pool}/subject/{mapped['google.subject']}"
        request.scope["principal"] = principal
        lifetime = cloud.switches.federated_lifetime or min(claims["exp"] - int(cloud.clock()), LONGEST)
        return JSONResponse(
            {
                "access_token": cloud.keys.access_token(principal, scopes, lifetime, mapped),
                "issued_token_type": ACCESS_TOKEN,
                "token_type": "Bearer",
                "expires_in": lifetime,
            }
        )

    return [Route("/v1/token", token, methods=["POST"])]


async def _fields(request: Request) -> dict[str, str]:
    """Return the request's fields in snake case, from a form or from JSON in camel case."""
    raw: Mapping[str, Any]
    if request.headers.get("content-type", "").startswith("application/json"):
        try:
            raw = await request.json()
        except (ValueError, RecursionError):
            raise oauth(400, "invalid_request", "The request body is not JSON.") from None
        if not isinstance(raw, dict):
            raise oauth(400, "invalid_request", "The request body is not a JSON object.")
    else:
        raw = await request.form()
    return {
        re.sub(r"[A-Z]", lambda letter: f"_{letter[0].lower()}", name): value
        for name, value in raw.items()
        if isinstance(value, str)
    }


def _provider(cloud: Cloud, audience: str) -> tuple[Provider, str]:
    """Return the provider that an audience names, and the resource name of its pool."""
    match = _AUDIENCE.fullmatch(audience)
    if not match:
        raise oauth(
            400,
            "invalid_request",
            'Invalid value for "audience". This value should be the full resource name of the Identity Provider. '
            "See https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token for the list of possible "
            "formats.",
        )
    number, pool_id, provider_id = match.groups()
    project = next((item.id for item in cloud.world.projects if str(item.number) == number), None)
    cloud.check_enabled(HOST, number)
    pools = {item.id for item in cloud.world.pools if item.project == project and not (item.disabled or item.deleted)}
    for provider in cloud.world.providers:
        if (
            (provider.project, provider.pool, provider.id) == (project, pool_id, provider_id)
            and pool_id in pools
            and not (provider.disabled or provider.deleted)
        ):
            return provider, f"projects/{number}/locations/global/workloadIdentityPools/{pool_id}"
    raise oauth(
        400,
        "invalid_target",
        'The target service indicated by the "audience" parameters is invalid. This might either be because the '
        "pool or provider is disabled or deleted or because it doesn't exist.",
    )


def verify(cloud: Cloud, provider: Provider, audience: str, token: str) -> dict[str, Any]:
    """Return the claims of a subject token after checking its issuer, signature, audience and times."""
    try:
        header = jwt.get_unverified_header(token)
        claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        raise oauth(400, "invalid_grant", "Unable to parse the ID Token.") from None
    issuer = claims.get("iss")
    if issuer != provider.issuer:
        raise oauth(
            400,
            "invalid_grant",
            f"The issuer in ID Token {issuer} does not match the expected ones: {provider.issuer}",
        )
    if not provider.jwks and not ISSUERS.fullmatch(issuer):
        raise oauth(400, "invalid_grant", "Error connecting to the given credential's issuer.")
    keys = jwt.PyJWKSet.from_dict(json.loads(provider.jwks) if provider.jwks else cloud.keys.github_jwks)
    try:
        key = keys[header.get("kid", "")]
        jwt.decode(token, key, algorithms=["RS256", "ES256"], options=UNCHECKED)
    except (KeyError, jwt.InvalidTokenError):
        raise oauth(400, "invalid_grant", "Invalid ID Token signature.") from None
    _check_audience(provider, audience, claims.get("aud"))
    _check_times(claims, cloud.clock())
    return claims


def _check_audience(provider: Provider, audience: str, given: Any) -> None:
    expected = provider.allowed_audiences or (audience, f"https:{audience}")
    given = given if isinstance(given, list) else [given]
    if not set(given) & set(expected):
        end = f" {expected[0]}" if len(expected) == 1 else ""
        shown = ", ".join(str(item) for item in given)
        raise oauth(
            400, "invalid_grant", f"The audience in ID Token [{shown}] does not match the expected audience{end}."
        )


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    issued, expires = claims.get("iat"), claims.get("exp")
    if not isinstance(issued, int) or not isinstance(expires, int):
        raise oauth(400, "invalid_grant", "The ID Token has no iat or exp.")
    if max(issued, claims.get("nbf", 0)) > now + SKEW:
        raise oauth(400, "invalid_grant", f"ID Token issued at {issued} is not valid yet.")
    if expires <= now or issued < now - OLDEST:
        raise oauth(400, "invalid_grant", f"ID Token issued at {issued} is stale to sign-in.")
