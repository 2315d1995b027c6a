"""IAM Credentials: access tokens of a service account, for callers who may impersonate it.

https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken
"""

import re
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gar_emulator.cloud.cloud import Cloud
from gar_emulator.cloud.keys import Identity, identity
from gar_emulator.cloud.refusals import api, insufficient_scopes, invalid_argument, json_body
from gar_emulator.world.iam import in_scope

HOST = "iamcredentials.googleapis.com"
PERMISSION = "iam.serviceAccounts.getAccessToken"
LONGEST = 3600


def routes(cloud: Cloud) -> list[Route]:
    async def generate(request: Request) -> Response:
        who = cloud.authenticate(request)
        if not in_scope(who.scopes, PERMISSION):
            raise insufficient_scopes(HOST)
        body = await json_body(request)
        scopes, lifetime, delegates = body.get("scope"), body.get("lifetime"), body.get("delegates") or []
        if not scopes or not _texts(scopes) or not _texts(delegates):
            raise invalid_argument()
        email = request.path_params["account"]
        for hop in [*(name.rpartition("/")[2] for name in delegates), email]:
            _check_hop(cloud, who, hop)
            who = identity(f"serviceAccount:{hop}", who.scopes, {})
        seconds = _seconds(lifetime or f"{LONGEST}s")
        if not 0 < seconds <= LONGEST:
            raise api(400, f"The access token lifetime cannot exceed {LONGEST} seconds.")
        token = cloud.keys.access_token(f"serviceAccount:{email}", frozenset(scopes), seconds)
        end = datetime.fromtimestamp(cloud.clock() + seconds, UTC)
        return JSONResponse({"accessToken": token, "expireTime": end.strftime("%Y-%m-%dT%H:%M:%SZ")})

    async def locations(request: Request) -> Response:
        cloud.authenticate(request)
        return JSONResponse({"locations": [], "encodedLocations": "0x0"})

    pool = "/v1/projects/{number}/locations/global/workloadIdentityPools/{pool}/allowedLocations"
    return [
        Route("/v1/projects/-/serviceAccounts/{account}:generateAccessToken", generate, methods=["POST"]),
        Route("/v1/projects/-/serviceAccounts/{account}/allowedLocations", locations),
        Route(pool, locations),
    ]


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _seconds(lifetime: Any) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)s", lifetime) if isinstance(lifetime, str) else None
    if not match:
        raise invalid_argument()
    return float(match[1])


def _check_hop(cloud: Cloud, who: Identity, email: str) -> None:
    account = cloud.account(email)
    if account and not account.disabled and cloud.permits(who, PERMISSION, account.resource):
        return
    raise api(  # the same error for a missing account, so that it does not tell which accounts exist
        403,
        f"Permission '{PERMISSION}' denied on resource (or it may not exist).",
        reason="IAM_PERMISSION_DENIED",
        domain="iam.googleapis.com",
        permission=PERMISSION,
    )
