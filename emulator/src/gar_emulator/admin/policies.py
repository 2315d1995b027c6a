"""getIamPolicy and setIamPolicy, which several APIs have.

https://cloud.google.com/iam/docs/reference/rest/v1/Policy
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gar_emulator.cloud.cloud import Cloud
from gar_emulator.cloud.refusals import Refusal, api, invalid_argument, json_body
from gar_emulator.world.iam import ROLES, Binding

_POOL = re.compile(
    r"principal(?:Set)?://iam\.googleapis\.com/projects/([^/]+)/locations/global/workloadIdentityPools/([^/]+)/.+"
)
#: From the base64 alphabet of gcloud to the standard one.
_URL_SAFE = str.maketrans("-_", "+/")
_MEMBER = re.compile(r"allUsers|allAuthenticatedUsers|(user|group|domain|serviceAccount):\S+|principal(Set)?://\S+")


def routes(
    cloud: Cloud, path: str, kind: str, find: Callable[[Request, str], str], *, read: str = "POST"
) -> list[Route]:
    """Return the routes for one kind of resource.

    Args:
        cloud: The emulated Google.
        path: The route of a resource.
        kind: The prefix of its permissions: "artifactregistry.repositories".
        find: Returns the resource name of a call whose caller has the permission.
        read: The HTTP method of `getIamPolicy`.
    """

    async def get(request: Request) -> Response:
        return JSONResponse(_shown(cloud.policy(find(request, f"{kind}.getIamPolicy"))))

    async def set_(request: Request) -> Response:
        resource = find(request, f"{kind}.setIamPolicy")
        policy = (await json_body(request)).get("policy")
        if not isinstance(policy, dict):
            raise invalid_argument()
        before = _shown(cloud.policy(resource))["etag"]
        sent = str(policy.get("etag") or before).translate(_URL_SAFE)
        if sent != before:
            raise api(
                409,
                "There were concurrent policy changes. Please retry the whole read-modify-write with exponential "
                f"backoff. The request's ETag '{sent}' did not match the current policy's ETag '{before}'.",
                status="ABORTED",
            )
        cloud.set_policy(resource, _read(cloud, resource, policy.get("bindings", [])))
        return JSONResponse(_shown(cloud.policy(resource)))

    return [
        Route(f"{path}:getIamPolicy", get, methods=[read]),
        Route(f"{path}:setIamPolicy", set_, methods=["POST"]),
    ]


def _shown(bindings: Sequence[Binding]) -> dict[str, Any]:
    """Return a policy in the API's format; its etag is a hash of its contents."""
    roles: dict[str, list[str]] = {}
    for binding in sorted(bindings, key=lambda each: (each.role, each.member)):
        roles.setdefault(binding.role, []).append(binding.member)
    shown = [{"role": role, "members": members} for role, members in roles.items()]
    etag = base64.b64encode(hashlib.sha256(json.dumps(shown).encode()).digest()[:8]).decode()
    return {"version": 1, "etag": etag, **({"bindings": shown} if shown else {})}


def _read(cloud: Cloud, resource: str, raw: Any) -> list[Binding]:
    """Return the bindings of a policy in the API's format.

    Raises:
        Refusal: 400, for an unknown role or member, or for a condition, which the emulator does not support.
    """
    found: list[Binding] = []
    for entry in raw if isinstance(raw, list) else []:
        role, members = entry.get("role", ""), entry.get("members", [])
        if role not in ROLES:
            raise api(400, f"Role {role} is not supported for this resource.")
        if entry.get("condition"):
            raise api(400, "The emulator does not support conditions of bindings.")
        for member in members:
            if problem := _unknown(cloud, str(member)):
                raise problem
            found.append(Binding(str(member), role, resource))
    return list(dict.fromkeys(found))


def _unknown(cloud: Cloud, member: str) -> Refusal | None:
    """Return an error if a member is malformed or does not exist; None otherwise."""
    if not _MEMBER.fullmatch(member):
        return api(400, f"Invalid member: {member}")
    if member.startswith("serviceAccount:") and member.endswith(".iam.gserviceaccount.com"):
        email = member.partition(":")[2]
        return None if cloud.account(email) else api(400, f"Service account {email} does not exist.")
    if member.startswith("principal"):
        match = _POOL.fullmatch(member)
        pool = cloud.pool(match[1], match[2]) if match and match[1].isdigit() else None
        if pool is None or pool.deleted:
            name = member.partition("iam.googleapis.com/")[2]
            return api(
                400,
                f"Identity Pool does not exist ({name}). Please check that you specified a valid resource name as "
                "returned in the `name` attribute in the configuration API.",
            )
    return None
