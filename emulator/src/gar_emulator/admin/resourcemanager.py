"""Cloud Resource Manager: a project's id, number and policy.

https://cloud.google.com/resource-manager/reference/rest/v1/projects/get
"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gar_emulator.admin import policies
from gar_emulator.cloud.cloud import Cloud

HOST = "cloudresourcemanager.googleapis.com"
PERMISSION = "resourcemanager.projects.get"


def routes(cloud: Cloud) -> list[Route]:
    def of_policy(request: Request, permission: str) -> str:
        return cloud.authorize_project(request, permission).resource

    async def version_1(request: Request) -> Response:
        project = cloud.authorize_project(request, PERMISSION)
        return JSONResponse(
            {
                "projectNumber": str(project.number),
                "projectId": project.id,
                "lifecycleState": "ACTIVE",
                "name": project.id,
            }
        )

    async def version_3(request: Request) -> Response:
        project = cloud.authorize_project(request, PERMISSION)
        return JSONResponse(
            {
                "name": f"projects/{project.number}",
                "projectId": project.id,
                "state": "ACTIVE",
                "displayName": project.id,
            }
        )

    return [
        *policies.routes(cloud, "/v1/projects/{project}", "resourcemanager.projects", of_policy),
        Route("/v1/projects/{project}", version_1),
        Route("/v3/projects/{project}", version_3),
    ]
