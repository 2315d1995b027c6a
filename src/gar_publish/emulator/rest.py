"""The Artifact Registry API, as far as gar-publish and gcloud call it.

https://cloud.google.com/artifact-registry/docs/reference/rest
"""

import asyncio
import base64
import binascii
import re
from collections.abc import Callable
from urllib.parse import unquote
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from gar_publish.emulator import attachments, policies, resources
from gar_publish.emulator.answers import Refusal, api, json_body
from gar_publish.emulator.cloud import Cloud
from gar_publish.emulator.resources import Item
from gar_publish.emulator.store import StoredFile
from gar_publish.emulator.world import FORMATS, MODES, Repository

HOST = "artifactregistry.googleapis.com"
LOCATIONS = ("asia", "europe", "europe-west1", "us", "us-central1", "us-east1")
PAGE_SIZE = 1000
UNSPECIFIED = "MODE_UNSPECIFIED"
TYPE = "type.googleapis.com/google.devtools.artifactregistry.v1"
#: When everything that a world file declares was made.
EPOCH = "2026-01-01T00:00:00.000000Z"


View = Callable[[Repository, list[StoredFile]], list[Item]]


def routes(cloud: Cloud) -> list[Route]:
    service = ArtifactRegistry(cloud)
    location = "/{api}/projects/{project}/locations/{location}"
    one = f"{location}/repositories/{{repository}}"
    return [
        Route("/{api}/projects/{project}/locations", service.list_locations),
        Route(f"{location}/operations/{{operation}}", service.get_operation),
        Route(f"{location}/repositories", service.list_repositories),
        Route(f"{location}/repositories", service.create_repository, methods=["POST"]),
        Route(f"{one}:testIamPermissions", service.test_permissions, methods=["POST"]),
        *policies.routes(cloud, one, "artifactregistry.repositories", service.of_policy, read="GET"),
        Route(one, service.get_repository),
        *service.attachments(one),
        Route(f"{one}/files", service.list_files),
        Route(f"{one}/files/{{file:path}}:download", service.download_file),
        Route(f"{one}/files/{{file:path}}", service.get_file),
        Route(f"{one}/files/{{file:path}}", service.delete_file, methods=["DELETE"]),
        *service.views(f"{one}/packages", "package", "packages", resources.packages),
        *service.views(f"{one}/packages/{{package}}/versions", "version", "versions", resources.versions),
        *service.views(f"{one}/pythonPackages", "python", "pythonpackages", resources.python_packages),
    ]


class ArtifactRegistry:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._operations: dict[str, Item] = {}
        self._coming: set[str] = set()

    # Locations and operations

    async def list_locations(self, request: Request) -> Response:
        project = request.path_params["project"]
        self._cloud.bearer(request)
        used = {item.location for item in self._cloud.repositories if item.project == project}
        return _listing(
            request,
            "locations",
            [
                {"name": f"projects/{project}/locations/{name}", "locationId": name, "displayName": name}
                for name in {*used, *LOCATIONS}
            ],
        )

    async def get_operation(self, request: Request) -> Response:
        self._cloud.bearer(request)
        found = self._operations.get(_resource(request))
        if found is None:
            raise _not_found()
        return JSONResponse(found)

    def _started(self, request: Request, response: Item, carry_out: Callable[[], None]) -> Response:
        """A long-running operation, which is done when it is asked for, or some seconds later.

        https://google.aip.dev/151
        """
        parent = f"projects/{request.path_params['project']}/locations/{request.path_params['location']}"
        operation: Item = {"name": f"{parent}/operations/{uuid4()}", "metadata": {"@type": f"{TYPE}.OperationMetadata"}}
        self._operations[operation["name"]] = operation

        def finish() -> None:
            carry_out()
            self._operations[operation["name"]] = {**operation, "done": True, "response": response}

        if seconds := self._cloud.switches.operation_seconds:
            asyncio.get_running_loop().call_later(seconds, finish)
        else:
            finish()
        return JSONResponse(operation)

    # Repositories

    def _repository(self, request: Request, permission: str) -> Repository:
        """The repository that a call is about, once the call is permitted.

        Raises:
            Refusal: 401, 403 or 404.
        """
        permission = f"artifactregistry.{permission}"
        wanted = _wanted(request)
        found = self._cloud.repository(wanted.project, wanted.location, wanted.name)
        if found is None and self._cloud.absence(self._cloud.bearer(request), permission, wanted) == 404:  # noqa: PLR2004 - not found
            raise _not_found()
        self._cloud.demand(request, permission, wanted.resource)
        if found is None:
            raise api(403, f"Permission '{permission}' denied on '{wanted.resource}' (or it may not exist).")
        return found

    async def list_repositories(self, request: Request) -> Response:
        project, location = request.path_params["project"], request.path_params["location"]
        self._cloud.demand(request, "artifactregistry.repositories.list", f"projects/{project}")
        found = [item for item in self._cloud.repositories if (item.project, item.location) == (project, location)]
        return _listing(request, "repositories", [self._described(item) for item in found])

    async def get_repository(self, request: Request) -> Response:
        return JSONResponse(self._described(self._repository(request, "repositories.get")))

    async def create_repository(self, request: Request) -> Response:
        project, location = request.path_params["project"], request.path_params["location"]
        self._cloud.demand(request, "artifactregistry.repositories.create", f"projects/{project}")
        name = request.query_params.get("repositoryId", "")
        body = await json_body(request)
        kind, mode = body.get("format", ""), body.get("mode", UNSPECIFIED)
        mode = "STANDARD_REPOSITORY" if mode == UNSPECIFIED else mode
        if not re.fullmatch(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", name) or kind not in FORMATS or mode not in MODES:
            raise api(400, "Request contains an invalid argument.")
        made = Repository(project, location, name, kind, mode, str(body.get("description", "")))
        if made.resource in self._coming or self._cloud.repository(project, location, name):
            raise api(409, "the repository already exists")
        self._coming.add(made.resource)

        def create() -> None:
            self._cloud.create(made)
            self._coming.remove(made.resource)

        return self._started(request, {"@type": f"{TYPE}.Repository", **self._described(made)}, create)

    async def test_permissions(self, request: Request) -> Response:
        who = self._cloud.bearer(request)
        wanted = _wanted(request)
        found = self._cloud.repository(wanted.project, wanted.location, wanted.name)
        if found is None and self._cloud.absence(who, "artifactregistry.repositories.get", wanted) == 404:  # noqa: PLR2004 - not found
            raise _not_found()
        asked = (await json_body(request)).get("permissions", [])
        held = [name for name in asked if found and self._cloud.permits(who, str(name), wanted.resource)]
        return JSONResponse({"permissions": held} if held else {})

    def of_policy(self, request: Request, permission: str) -> str:
        return self._repository(request, permission.partition(".")[2]).resource

    def _described(self, repository: Repository) -> Item:
        files = self._cloud.store.files(repository)
        host = f"{repository.location}-{repository.format.lower()}.pkg.dev"
        item: Item = {
            "name": repository.resource,
            "format": repository.format,
            "mode": repository.mode,
            "createTime": EPOCH,
            "updateTime": max((stored.created_at for stored in files), default=EPOCH),
            "registryUri": f"{host}/{repository.project}/{repository.name}",
        }
        if repository.description:
            item["description"] = repository.description
        if files:
            item["sizeBytes"] = str(sum(stored.size for stored in files))
        return item

    # Files

    async def list_files(self, request: Request) -> Response:
        repository = self._repository(request, "files.list")
        packaged = [resources.file(repository, item) for item in self._cloud.store.files(repository)]
        return _listing(request, "files", [*packaged, *attachments.file_items(self._cloud, repository)])

    async def get_file(self, request: Request) -> Response:
        repository = self._repository(request, "files.get")
        return JSONResponse(resources.file(repository, self._file(request, repository)))

    async def download_file(self, request: Request) -> Response:
        repository = self._repository(request, "files.download")
        stored = self._file(request, repository)
        if request.query_params.get("alt") != "media":
            return JSONResponse({})
        return FileResponse(self._cloud.store.path(repository, stored), media_type="application/octet-stream")

    async def delete_file(self, request: Request) -> Response:
        repository = self._repository(request, "files.delete")
        return self._delete(request, repository, [self._file(request, repository)])

    def _file(self, request: Request, repository: Repository) -> StoredFile:
        package, _, filename = unquote(request.path_params["file"]).partition("/")
        stored = self._cloud.store.find(repository, filename)
        if stored is None or stored.package != package:
            raise _not_found()
        return stored

    def _delete(self, request: Request, repository: Repository, files: list[StoredFile]) -> Response:
        if not files:
            raise _not_found()

        def delete() -> None:
            for stored in files:
                self._cloud.store.remove(repository, stored)

        return self._started(request, {"@type": "type.googleapis.com/google.protobuf.Empty"}, delete)

    def attachments(self, one: str) -> list[Route]:
        return attachments.routes(
            self._cloud, one, permitted=self._repository, operations=self._operations, listing=_listing
        )

    # Packages, versions and pythonPackages: views of the files

    def views(self, path: str, parameter: str, permission: str, view: View) -> list[Route]:
        """The routes that list, get and (but for pythonPackages) delete what a view shows."""

        def chosen(request: Request, verb: str) -> tuple[Repository, list[StoredFile]]:
            repository = self._repository(request, f"{permission}.{verb}")
            package, version = request.path_params.get("package"), request.path_params.get("version")
            version = unquote(version) if version else None
            return repository, [
                stored
                for stored in self._cloud.store.files(repository)
                if package in {None, stored.package} and version in {None, stored.version}
            ]

        async def listing(request: Request) -> Response:
            return _listing(request, path.rpartition("/")[2], view(*chosen(request, "list")))

        async def getting(request: Request) -> Response:
            for item in view(*chosen(request, "get")):
                if unquote(item["name"]) == unquote(_resource(request)):
                    return JSONResponse(item)
            raise _not_found()

        async def deleting(request: Request) -> Response:
            return self._delete(request, *chosen(request, "delete"))

        one = f"{path}/{{{parameter}}}"
        routes = [Route(path, listing), Route(one, getting)]
        return routes if view is resources.python_packages else [*routes, Route(one, deleting, methods=["DELETE"])]


def _wanted(request: Request) -> Repository:
    return Repository(*(request.path_params[name] for name in ("project", "location", "repository")))


def _resource(request: Request) -> str:
    """The resource name in the path of a call, without the API's version."""
    path = str(request.scope["path"]).removeprefix(request.scope["root_path"])
    return path.removeprefix(f"/{request.path_params['api']}/")


def _not_found() -> Refusal:
    return api(404, "Requested entity was not found.")


def _listing(request: Request, kind: str, items: list[Item]) -> Response:
    """One page of what passes the filter, in the order of the names: https://google.aip.dev/158"""
    try:
        size = min(int(request.query_params.get("pageSize") or 0) or PAGE_SIZE, PAGE_SIZE)
        start = base64.urlsafe_b64decode(request.query_params.get("pageToken", "")).decode()
    except (ValueError, binascii.Error):
        raise api(400, "Request contains an invalid argument.") from None
    ordered = sorted((item for item in items if _passes(request, item)), key=lambda item: str(item["name"]))
    rest = [item for item in ordered if item["name"] > start]
    answer: Item = {kind: rest[:size]} if rest else {}
    if len(rest) > size:
        answer["nextPageToken"] = base64.urlsafe_b64encode(rest[size - 1]["name"].encode()).decode()
    return JSONResponse(answer)


def _passes(request: Request, item: Item) -> bool:
    """`filter=name="…" AND owner="…"`, where `*` stands for anything: all that gcloud sends."""
    for field, value in re.findall(r'(\w+)\s*[=:]\s*"([^"]*)"', request.query_params.get("filter", "")):
        pattern = ".*".join(re.escape(part) for part in unquote(value).split("*"))
        if not re.fullmatch(pattern, unquote(str(item.get(field, "")))):
            return False
    return True
