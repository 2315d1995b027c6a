"""GitHub's OIDC issuer: discovery, keys and ID tokens.

https://docs.github.com/en/actions/reference/security/oidc
"""

import re
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gar_emulator.cloud.cloud import Cloud, steady_id
from gar_emulator.cloud.refusals import Refusal

HOST = "token.actions.githubusercontent.com"
ISSUER = f"https://{HOST}"
#: The issuers whose tokens the emulator signs: of github.com, of an enterprise there, and of tenants on ghe.com.
ISSUERS = re.compile(rf"{re.escape(ISSUER)}(/[\w-]+)?|https://token\.actions\.[\w-]+\.ghe\.com")
#: As opaque as the real address, which also has a query.
REQUEST_PATH = "/emulator/00000000-0000-0000-0000-000000000000/_apis/distributedtask/hubs/Actions/idtoken"
REQUEST_QUERY = "api-version=2.0"
LIFETIME = 300
BACKDATED = 600


def routes(cloud: Cloud) -> list[Route]:
    async def discovery(request: Request) -> Response:
        base = str(request.base_url).rstrip("/")
        return JSONResponse(
            {
                "issuer": ISSUER,
                "jwks_uri": f"{base}/.well-known/jwks",
                "subject_types_supported": ["public", "pairwise"],
                "response_types_supported": ["id_token"],
                "claims_supported": sorted(claims_of({}, immutable=False)),
                "id_token_signing_alg_values_supported": ["RS256"],
                "scopes_supported": ["openid"],
            }
        )

    async def jwks(_: Request) -> Response:
        return JSONResponse(cloud.keys.github_jwks)

    async def id_token(request: Request) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        job = cloud.keys.read_request_token(token.strip()) if scheme.lower() == "bearer" else None
        if job is None:
            raise Refusal(JSONResponse({"message": "The request token is not valid."}, 401))
        claims = claims_of(job, immutable=cloud.switches.immutable_subject)
        now = int(cloud.clock())
        value = cloud.keys.id_token(
            {
                "jti": str(uuid4()),
                "aud": request.query_params.get("audience") or f"https://github.com/{claims['repository_owner']}",
                "iss": ISSUER,
                "iat": now,
                "nbf": now - BACKDATED,
                "exp": now + LIFETIME,
                **claims,
            }
        )
        return JSONResponse({"count": len(value), "value": value})

    return [
        Route("/.well-known/openid-configuration", discovery),
        Route("/.well-known/jwks", jwks),
        Route(REQUEST_PATH, id_token),
    ]


def claims_of(job: Mapping[str, Any], *, immutable: bool) -> dict[str, Any]:
    """Return all claims of a job: those given, and the others derived from them."""
    repository = str(job.get("repository", "octo-org/hello"))
    owner, _, name = repository.partition("/")
    ref = str(job.get("ref", "refs/heads/main"))
    workflow_ref = f"{repository}/.github/workflows/publish.yml@{ref}"
    claims: dict[str, Any] = {
        "actor": "octocat",
        "actor_id": "583231",
        "base_ref": "",
        "event_name": "push",
        "head_ref": "",
        "job_workflow_ref": workflow_ref,
        "ref": ref,
        "ref_type": "tag" if ref.startswith("refs/tags/") else "branch",
        "repository": repository,
        "repository_id": steady_id(repository),
        "repository_owner": owner,
        "repository_owner_id": steady_id(owner),
        "repository_visibility": "private",
        "run_attempt": "1",
        "run_id": "1234567890",
        "run_number": "1",
        "runner_environment": "github-hosted",
        "sha": "0" * 40,
        "workflow": "publish",
        "workflow_ref": workflow_ref,
        "workflow_sha": "0" * 40,
        **job,
    }
    if "sub" not in job:
        where = f"{owner}@{claims['repository_owner_id']}/{name}@{claims['repository_id']}" if immutable else repository
        claims["sub"] = f"repo:{where}:{_context(claims)}"
    return claims


def _context(claims: Mapping[str, Any]) -> str:
    if claims.get("environment"):
        return "environment:" + str(claims["environment"]).replace(":", "%3A")
    if claims["event_name"] == "pull_request":
        return "pull_request"
    return "ref:" + str(claims["ref"]).replace(":", "%3A")
