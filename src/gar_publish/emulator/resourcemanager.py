"""Cloud Resource Manager: the one call that google-auth and gcloud make to learn a project's id or number.

https://cloud.google.com/resource-manager/reference/rest/v1/projects/get
"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gar_publish.emulator.cloud import Cloud
from gar_publish.emulator.world import Project

HOST = "cloudresourcemanager.googleapis.com"
PERMISSION = "resourcemanager.projects.get"


def routes(cloud: Cloud) -> list[Route]:
    def find(request: Request) -> Project:
        name = request.path_params["project"]
        project = cloud.project(name) or Project(name, 0)
        cloud.demand(request, PERMISSION, f"projects/{project.id}")
        return project

    async def version_1(request: Request) -> Response:
        project = find(request)
        return JSONResponse(
            {
                "projectNumber": str(project.number),
                "projectId": project.id,
                "lifecycleState": "ACTIVE",
                "name": project.id,
            }
        )

    async def version_3(request: Request) -> Response:
        project = find(request)
        return JSONResponse(
            {
                "name": f"projects/{project.number}",
                "projectId": project.id,
                "state": "ACTIVE",
                "displayName": project.id,
            }
        )

    return [Route("/v1/projects/{project}", version_1), Route("/v3/projects/{project}", version_3)]
