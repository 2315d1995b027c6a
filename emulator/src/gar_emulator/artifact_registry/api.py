"""The methods of the Artifact Registry API that gar-publish and gcloud call.

https://cloud.google.com/artifact-registry/docs/reference/rest
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gar_emulator.admin import policies
from gar_emulator.artifact_registry import attachments, listing, resources
from gar_emulator.artifact_registry.operations import EMPTY, TYPE, Operations
from gar_emulator.artifact_registry.resources import Item
from gar_emulator.cloud import downloads
from gar_emulator.cloud.cloud import Cloud
from gar_emulator.cloud.package_store import StoredFile
from gar_emulator.cloud.refusals import api, invalid_argument, json_body, not_found
from gar_emulator.world.world import FORMATS, MODES, NAME, Repository

HOST = "artifactregistry.googleapis.com"
LOCATIONS = ("asia", "europe", "europe-west1", "us", "us-central1", "us-east1")
UNSPECIFIED = "MODE_UNSPECIFIED"
UPDATABLE = {
    "description": "description",
    "labels": "labels",
    "cleanupPolicies": "cleanup_policies",
    "cleanupPolicyDryRun": "cleanup_policy_dry_run",
}
"""The fields of a repository that can be updated, and their names in `Repository`."""
LARGEST_BATCH = 10_000
"""Versions that one call deletes."""

#: The creation time of everything in the world file.
EPOCH = "2026-01-01T00:00:00.000000Z"

BARE = Repository("", "", "")
"""Has the default of every field."""

View = Callable[[Repository, list[StoredFile]], list[Item]]


def routes(cloud: Cloud) -> list[Route]:
    operations = Operations(cloud)
    service = ArtifactRegistry(cloud, operations)
    location = "/{api}/projects/{project}/locations/{location}"
    one = f"{location}/repositories/{{repository}}"
    return [
        downloads.route(cloud),
        Route("/{api}/projects/{project}/locations", service.list_locations),
        Route(f"{location}/operations/{{operation}}", operations.get),
        Route(f"{location}/repositories", service.list_repositories),
        Route(f"{location}/repositories", service.create_repository, methods=["POST"]),
        Route(f"{one}:testIamPermissions", service.test_permissions, methods=["POST"]),
        *policies.routes(cloud, one, "artifactregistry.repositories", service.of_policy, read="GET"),
        Route(one, service.get_repository),
        Route(one, service.update_repository, methods=["PATCH"]),
        Route(one, service.delete_repository, methods=["DELETE"]),
        *attachments.routes(cloud, one, permitted=service.permitted, operations=operations),
        Route(f"{one}/files", service.list_files),
        Route(f"{one}/files/{{file:path}}:download", service.download_file),
        Route(f"{one}/files/{{file:path}}", service.get_file),
        Route(f"{one}/files/{{file:path}}", service.delete_file, methods=["DELETE"]),
        *service.views(f"{one}/packages", "package", "packages", resources.packages),
        Route(f"{one}/packages/{{package}}/versions:batchDelete", service.delete_versions, methods=["POST"]),
        *service.views(f"{one}/packages/{{package}}/versions", "version", "versions", resources.versions),
        *service.views(f"{one}/pythonPackages", "python", "pythonpackages", resources.python_packages),
    ]


class ArtifactRegistry:
    def __init__(self, cloud: Cloud, operations: Operations) -> None:
        self._cloud = cloud
        self._operations = operations
        self._creating: set[str] = set()

    # Locations

    async def list_locations(self, request: Request) -> Response:
        project = request.path_params["project"]
        self._cloud.authenticate(request)
        used = {item.location for item in self._cloud.repositories if item.project == project}
        return listing.page(
            request,
            "locations",
            [
                {"name": f"projects/{project}/locations/{name}", "locationId": name, "displayName": name}
                for name in {*used, *LOCATIONS}
            ],
        )

    # Repositories

    def permitted(self, request: Request, permission: str) -> Repository:
        """Return the repository of a call whose caller has the permission.

        Raises:
            Refusal: 401, 403 or 404.
        """
        permission = f"artifactregistry.{permission}"
        wanted = _wanted(request)
        found = self._cloud.repository(wanted.project, wanted.location, wanted.name)
        if found is None and self._cloud.missing_status(self._cloud.authenticate(request), permission, wanted) == 404:  # noqa: PLR2004 - not found
            raise not_found()
        self._cloud.authorize(request, permission, wanted.resource)
        if found is None:
            raise api(403, f"Permission '{permission}' denied on '{wanted.resource}' (or it may not exist).")
        return found

    async def list_repositories(self, request: Request) -> Response:
        project, location = request.path_params["project"], request.path_params["location"]
        self._cloud.authorize(request, "artifactregistry.repositories.list", f"projects/{project}")
        found = [item for item in self._cloud.repositories if (item.project, item.location) == (project, location)]
        return listing.page(request, "repositories", [self._described(item) for item in found])

    async def get_repository(self, request: Request) -> Response:
        return JSONResponse(self._described(self.permitted(request, "repositories.get")))

    async def create_repository(self, request: Request) -> Response:
        project, location = request.path_params["project"], request.path_params["location"]
        self._cloud.authorize(request, "artifactregistry.repositories.create", f"projects/{project}")
        name = request.query_params.get("repositoryId", "")
        body = await json_body(request)
        kind, mode = body.get("format", ""), body.get("mode", UNSPECIFIED)
        mode = "STANDARD_REPOSITORY" if mode == UNSPECIFIED else mode
        if not (NAME.fullmatch(name) and NAME.fullmatch(location)) or kind not in FORMATS or mode not in MODES:
            raise invalid_argument()
        created = _updated(Repository(project, location, name, kind, mode), body, UPDATABLE)
        if created.resource in self._creating or self._cloud.repository(project, location, name):
            raise api(409, "the repository already exists")
        self._creating.add(created.resource)

        def create() -> None:
            self._cloud.create(created)
            self._creating.remove(created.resource)

        return self._operations.start(request, {"@type": f"{TYPE}.Repository", **self._described(created)}, create)

    async def update_repository(self, request: Request) -> Response:
        """Update the fields of a mask: https://google.aip.dev/134"""
        repository = self.permitted(request, "repositories.update")
        mask = [name for name in request.query_params.get("updateMask", "").split(",") if name]
        if not mask or not UPDATABLE.keys() >= set(mask):
            raise invalid_argument()
        updated = _updated(repository, await json_body(request), mask)
        self._cloud.store.create(updated)
        return JSONResponse(self._described(updated))

    async def delete_repository(self, request: Request) -> Response:
        repository = self.permitted(request, "repositories.delete")
        return self._operations.start(request, EMPTY, lambda: self._cloud.delete(repository))

    async def test_permissions(self, request: Request) -> Response:
        who = self._cloud.authenticate(request)
        wanted = _wanted(request)
        found = self._cloud.repository(wanted.project, wanted.location, wanted.name)
        if found is None and self._cloud.missing_status(who, "artifactregistry.repositories.get", wanted) == 404:  # noqa: PLR2004 - not found
            raise not_found()
        asked = (await json_body(request)).get("permissions", [])
        held = [name for name in asked if found and self._cloud.permits(who, str(name), wanted.resource)]
        return JSONResponse({"permissions": held} if held else {})

    def of_policy(self, request: Request, permission: str) -> str:
        return self.permitted(request, permission.partition(".")[2]).resource

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
        item |= {field: value for field, name in UPDATABLE.items() if (value := getattr(repository, name))}
        if files:
            item["sizeBytes"] = str(sum(stored.size for stored in files))
        return item

    # Files

    async def list_files(self, request: Request) -> Response:
        repository = self.permitted(request, "files.list")
        packaged = [resources.file(repository, item) for item in self._cloud.store.files(repository)]
        attached = [attachments.file_item(repository, item) for item in self._cloud.attachments.files(repository)]
        return listing.page(request, "files", packaged + attached)

    async def get_file(self, request: Request) -> Response:
        repository = self.permitted(request, "files.get")
        return JSONResponse(resources.file(repository, self._file(request, repository)))

    async def download_file(self, request: Request) -> Response:
        repository = self.permitted(request, "files.download")
        stored = self._file(request, repository)
        if request.query_params.get("alt") != "media":
            return JSONResponse({})
        return downloads.download(request, self._cloud, repository, self._cloud.store.path(repository, stored))

    async def delete_file(self, request: Request) -> Response:
        repository = self.permitted(request, "files.delete")
        return self._delete(request, repository, [self._file(request, repository)])

    def _file(self, request: Request, repository: Repository) -> StoredFile:
        package, _, filename = unquote(request.path_params["file"]).partition("/")
        stored = self._cloud.store.find(repository, filename)
        if stored is None or stored.package != package:
            raise not_found()
        return stored

    def _delete(self, request: Request, repository: Repository, files: list[StoredFile]) -> Response:
        if not files:
            raise not_found()

        def delete() -> None:
            for stored in files:
                self._cloud.store.remove(repository, stored)

        return self._operations.start(request, EMPTY, delete)

    async def delete_versions(self, request: Request) -> Response:
        """Delete versions of one package.

        https://cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations.repositories.packages.versions/batchDelete
        """
        repository = self.permitted(request, "versions.delete")
        body = await json_body(request)
        names, parent = body.get("names"), f"{repository.resource}/packages/{request.path_params['package']}"
        if not isinstance(names, list) or not names or len(names) > LARGEST_BATCH:
            raise invalid_argument()
        wanted = {unquote(str(name)): str(name) for name in names}
        if not all(name.startswith(f"{parent}/versions/") for name in wanted):
            raise invalid_argument()
        files = self._cloud.store.files(repository, request.path_params["package"])
        found = {f"{parent}/versions/{stored.version}": stored for stored in files}
        failed = [name for plain, name in wanted.items() if plain not in found]
        metadata: Item = {"@type": f"{TYPE}.BatchDeleteVersionsMetadata"}

        def delete() -> None:
            for stored in files:
                if f"{parent}/versions/{stored.version}" in wanted:
                    self._cloud.store.remove(repository, stored)

        return self._operations.start(
            request,
            EMPTY,
            (lambda: None) if body.get("validateOnly") else delete,
            metadata={**metadata, "failedVersions": failed} if failed else metadata,
        )

    # Packages, versions and pythonPackages: views of the files

    def views(self, path: str, parameter: str, permission: str, view: View) -> list[Route]:
        """Return the routes that list, get and (except for pythonPackages) delete the items of a view."""

        def chosen(request: Request, verb: str) -> tuple[Repository, list[StoredFile]]:
            repository = self.permitted(request, f"{permission}.{verb}")
            package, version = request.path_params.get("package"), request.path_params.get("version")
            version = unquote(version) if version else None
            return repository, [
                stored
                for stored in self._cloud.store.files(repository)
                if package in {None, stored.package} and version in {None, stored.version}
            ]

        async def listed(request: Request) -> Response:
            return listing.page(request, path.rpartition("/")[2], view(*chosen(request, "list")))

        async def getting(request: Request) -> Response:
            for item in view(*chosen(request, "get")):
                if unquote(item["name"]) == unquote(_resource(request)):
                    return JSONResponse(item)
            raise not_found()

        async def deleting(request: Request) -> Response:
            return self._delete(request, *chosen(request, "delete"))

        one = f"{path}/{{{parameter}}}"
        routes = [Route(path, listed), Route(one, getting)]
        return routes if view is resources.python_packages else [*routes, Route(one, deleting, methods=["DELETE"])]


def _updated(repository: Repository, body: Item, fields: Iterable[str]) -> Repository:
    """Return a repository with these fields of a request's body.

    Raises:
        Refusal: 400, if the value of a field has the wrong type.
    """
    changes = {UPDATABLE[field]: body.get(field) or getattr(BARE, UPDATABLE[field]) for field in fields}
    if any(type(value) is not type(getattr(BARE, name)) for name, value in changes.items()):
        raise invalid_argument()
    policies = changes.get("cleanup_policies", {})
    return replace(repository, **changes | ({"cleanup_policies": _shown(policies)} if policies else {}))


def _shown(policies: Item) -> Item:
    """Return cleanup policies as the API shows them. gcloud sends `Delete`, `any` and `2592000.0s`.

    Raises:
        Refusal: 400, if one is malformed.
    """
    shown = {}
    try:
        for name, policy in policies.items():
            condition = dict(policy.get("condition") or {})
            if "tagState" in condition:
                condition["tagState"] = condition["tagState"].upper()
            for age in {"olderThan", "newerThan"} & condition.keys():
                condition[age] = f"{int(float(condition[age].removesuffix('s')))}s"
            shown[name] = {**policy, "action": policy["action"].upper(), "condition": condition}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise invalid_argument() from None
    return shown


def _wanted(request: Request) -> Repository:
    return Repository(*(request.path_params[name] for name in ("project", "location", "repository")))


def _resource(request: Request) -> str:
    """Return the resource name in the path of a call."""
    path = str(request.scope["path"]).removeprefix(request.scope["root_path"])
    return path.removeprefix(f"/{request.path_params['api']}/")
