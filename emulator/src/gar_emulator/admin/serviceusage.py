"""Service Usage: the enabled services of a project.

https://cloud.google.com/service-usage/docs/reference/rest
"""

from dataclasses import replace
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gar_emulator.cloud.cloud import Cloud
from gar_emulator.cloud.refusals import api, json_body
from gar_emulator.world.services import SERVICES
from gar_emulator.world.world import Project

HOST = "serviceusage.googleapis.com"
#: The answer if nothing changed.
NOTHING_TO_DO = "operations/noop.DONE_OPERATION"


def routes(cloud: Cloud) -> list[Route]:
    usage = ServiceUsage(cloud)
    services = "/v1/projects/{project}/services"
    return [
        Route("/v1/operations/{operation}", usage.operation),
        Route(services, usage.listing),
        Route(f"{services}:batchEnable", usage.batch_enable, methods=["POST"]),
        Route(f"{services}:batchGet", usage.batch_get),
        Route(f"{services}/{{service}}:enable", usage.enable, methods=["POST"]),
        Route(f"{services}/{{service}}:disable", usage.disable, methods=["POST"]),
        Route(f"{services}/{{service}}", usage.get),
    ]


class ServiceUsage:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    async def enable(self, request: Request) -> Response:
        project = self._project(request, "enable")
        return self._switch(project, set(project.disabled_services) - {_known(request.path_params["service"])})

    async def batch_enable(self, request: Request) -> Response:
        project = self._project(request, "enable")
        asked = (await json_body(request)).get("serviceIds", [])
        return self._switch(project, set(project.disabled_services) - {_known(str(service)) for service in asked})

    async def disable(self, request: Request) -> Response:
        project = self._project(request, "disable")
        return self._switch(project, set(project.disabled_services) | {_known(request.path_params["service"])})

    async def get(self, request: Request) -> Response:
        project = self._project(request, "get")
        return JSONResponse(_shown(project, _known(request.path_params["service"])))

    async def batch_get(self, request: Request) -> Response:
        project = self._project(request, "get")
        names = [name.rpartition("/")[2] for name in request.query_params.getlist("names")]
        return JSONResponse({"services": [_shown(project, _known(name)) for name in names]})

    async def listing(self, request: Request) -> Response:
        project = self._project(request, "list")
        wanted = request.query_params.get("filter", "").partition(":")[2]
        shown = [_shown(project, service) for service in SERVICES]
        return JSONResponse({"services": [item for item in shown if wanted in {"", item["state"]}]})

    async def operation(self, request: Request) -> Response:
        self._cloud.authenticate(request)
        return JSONResponse({"name": f"operations/{request.path_params['operation']}", "done": True})

    def _project(self, request: Request, verb: str) -> Project:
        return self._cloud.authorize_project(request, f"serviceusage.services.{verb}")

    def _switch(self, project: Project, disabled: set[str]) -> Response:
        """Return an operation that is already done."""
        changed = disabled != set(project.disabled_services)
        if changed:
            self._cloud.put(replace(project, disabled_services=tuple(sorted(disabled))))
        return JSONResponse({"name": f"operations/{uuid4().hex}" if changed else NOTHING_TO_DO, "done": True})


def _known(service: str) -> str:
    if service not in SERVICES:
        raise api(
            403,
            f"Not found or permission denied for service(s): {service}.",
            reason="SERVICE_CONFIG_NOT_FOUND_OR_PERMISSION_DENIED",
            domain=HOST,
            services=service,
        )
    return service


def _shown(project: Project, service: str) -> dict[str, Any]:
    return {
        "name": f"projects/{project.number}/services/{service}",
        "parent": f"projects/{project.number}",
        "config": {"name": service, "title": SERVICES[service]},
        "state": "DISABLED" if service in project.disabled_services else "ENABLED",
    }
