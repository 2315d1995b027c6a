"""Error responses in Google's formats."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from gar_emulator.world.services import SERVICES
from gar_emulator.world.switches import Switches


class Refusal(Exception):
    """Ends a request with an error response."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


def text(status: int, body: str, headers: Mapping[str, str] | None = None) -> Refusal:
    return Refusal(PlainTextResponse(f"{body}\n" if body else "", status, headers))


#: https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
_GENERIC = {
    400: "Request contains an invalid argument.",
    401: "The request does not have valid authentication credentials.",
    403: "The caller does not have permission.",
    404: "Requested entity was not found.",
}


def host_text(switches: Switches, status: int, detailed: str, headers: Mapping[str, str] | None = None) -> Refusal:
    """Return a refusal of the Python host, with the text that the switch `texts` selects."""
    if switches.texts == "detailed":
        return text(status, detailed, headers)
    empty = switches.texts == "empty" and status == 403  # noqa: PLR2004 - forbidden
    return text(status, "" if empty else _GENERIC.get(status, detailed), headers)


def oauth(status: int, error: str, description: str) -> Refusal:
    """Return an error of STS or OAuth, in the format of RFC 6749 section 5.2."""
    return Refusal(JSONResponse({"error": error, "error_description": description}, status))


_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
}


def api(code: int, message: str, *, status: str = "", reason: str = "", domain: str = "", **metadata: str) -> Refusal:
    """Return an error as google.rpc.Status: https://cloud.google.com/apis/design/errors"""
    error: dict[str, Any] = {"code": code, "message": message, "status": status or _STATUS[code]}
    if reason:
        error["details"] = [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": reason,
                "domain": domain,
                "metadata": metadata,
            }
        ]
    return Refusal(JSONResponse({"error": error}, code))


def invalid_argument() -> Refusal:
    return api(400, "Request contains an invalid argument.")


def insufficient_scopes(service: str) -> Refusal:
    return api(
        403,
        "Request had insufficient authentication scopes.",
        reason="ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        domain="googleapis.com",
        service=service,
    )


def not_found() -> Refusal:
    return api(404, "Requested entity was not found.")


def why_disabled(service: str, number: int) -> str:
    return (
        f"{SERVICES[service]} has not been used in project {number} before or it is disabled. "
        f"Enable it by visiting {_activation(service, number)} then retry. If you enabled this API recently, "
        "wait a few minutes for the action to propagate to our systems and retry."
    )


def disabled(service: str, number: int) -> Refusal:
    """Return the error of a call to a disabled service: https://cloud.google.com/apis/design/errors#error_info"""
    return api(
        403,
        why_disabled(service, number),
        reason="SERVICE_DISABLED",
        domain="googleapis.com",
        service=service,
        serviceTitle=SERVICES[service],
        consumer=f"projects/{number}",
        activationUrl=_activation(service, number),
    )


def user_project_denied(project: str, service: str) -> Refusal:
    """Return the error of a call that names a project for quotas which its caller may not use.

    Seen in https://github.com/google-github-actions/auth/issues/250
    """
    return api(
        403,
        f"Caller does not have required permission to use project {project}. Grant the caller the "
        "roles/serviceusage.serviceUsageConsumer role, or a custom role with the serviceusage.services.use permission, "
        f"by visiting https://console.developers.google.com/iam-admin/iam/project?project={project} and then retry. "
        "Propagation of the new permission may take a few minutes.",
        reason="USER_PROJECT_DENIED",
        domain="googleapis.com",
        service=service,
        consumer=f"projects/{project}",
    )


def _activation(service: str, number: int) -> str:
    return f"https://console.developers.google.com/apis/api/{service}/overview?project={number}"


async def json_body(request: Request) -> dict[str, Any]:
    """Return the JSON object in a request's body; an empty one if there is no body.

    Raises:
        Refusal: 400, if the body is not a JSON object.
    """
    try:
        body = json.loads(await request.body() or b"{}")
    except (ValueError, RecursionError):
        raise api(400, "Invalid JSON payload received.") from None
    if not isinstance(body, dict):
        raise api(400, "Invalid JSON payload received.")
    return body
