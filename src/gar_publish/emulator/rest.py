"""The Artifact Registry API, as far as gar-publish and gcloud call it.

https://cloud.google.com/artifact-registry/docs/reference/rest
"""

import base64
import binascii
import json
import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from gar_publish.emulator.answers import api
from gar_publish.emulator.cloud import Cloud
from gar_publish.emulator.iam import in_scope
from gar_publish.emulator.store import StoredFile
from gar_publish.emulator.world import FORMATS, MODES, Repository

HOST = "artifactregistry.googleapis.com"
LOCATIONS = ("asia", "europe", "europe-west1", "us", "us-central1", "us-east1")
PAGE_SIZE = 1000
Item = dict[str, Any]


def routes(cloud: Cloud) -> list[Route]:  # noqa: C901, PLR0915 - one small function for each call
    operations: dict[str, Item] = {}

    def repository_of(request: Request, permission: str) -> Repository:
        wanted = Repository(*(request.path_params[name] for name in ("project", "location", "repository")))
        found = cloud.repository(wanted.project, wanted.location, wanted.name)
        permission = f"artifactregistry.{permission}"
        who = cloud.bearer(request)
        if found is None and in_scope(who.scopes, permission) and cloud.absence(who, permission, wanted) == 404:  # noqa: PLR2004
            raise api(404, f"Repository does not exist: {wanted.resource}")
        cloud.demand(request, permission, wanted.resource)
        if found is None:
            raise api(404, f"Repository does not exist: {wanted.resource}")
        return found

    def operation(request: Request, kind: str, response: Item, metadata: Item | None = None) -> Response:
        parent = f"projects/{request.path_params['project']}/locations/{request.path_params['location']}"
        name = f"{parent}/operations/{uuid4()}"
        started = {"name": name, "metadata": {"@type": f"type.googleapis.com/{kind}", **(metadata or {})}}
        operations[name] = {**started, "done": True, "response": response}
        return JSONResponse(started)

    def deletion(request: Request, repository: Repository, files: list[StoredFile]) -> Response:
        for stored in files:
            cloud.store.remove(repository, stored)
        empty = {"@type": "type.googleapis.com/google.protobuf.Empty"}
        return operation(request, "google.devtools.artifactregistry.v1.OperationMetadata", empty)

    # Locations and operations

    async def list_locations(request: Request) -> Response:
        project = request.path_params["project"]
        cloud.bearer(request)
        used = {item.location for item in cloud.repositories if item.project == project}
        return _listing(request, "locations", [_location(project, name) for name in sorted({*used, *LOCATIONS})])

    async def get_location(request: Request) -> Response:
        cloud.bearer(request)
        return JSONResponse(_location(request.path_params["project"], request.path_params["location"]))

    async def get_operation(request: Request) -> Response:
        cloud.bearer(request)
        found = operations.get(request.url.path.partition("/v1/")[2])
        if found is None:
            raise api(404, "Requested entity was not found.")
        return JSONResponse(found)

    # Repositories

    async def list_repositories(request: Request) -> Response:
        project, location = request.path_params["project"], request.path_params["location"]
        cloud.demand(request, "artifactregistry.repositories.list", f"projects/{project}")
        found = [item for item in cloud.repositories if (item.project, item.location) == (project, location)]
        return _listing(request, "repositories", [_repository(cloud, item) for item in found])

    async def get_repository(request: Request) -> Response:
        return JSONResponse(_repository(cloud, repository_of(request, "repositories.get")))

    async def create_repository(request: Request) -> Response:
        project, location = request.path_params["project"], request.path_params["location"]
        cloud.demand(request, "artifactregistry.repositories.create", f"projects/{project}")
        name = request.query_params.get("repositoryId", "")
        body = await _body(request)
        kind, mode = body.get("format", ""), body.get("mode", "STANDARD_REPOSITORY")
        if not re.fullmatch(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", name) or kind not in FORMATS or mode not in MODES:
            raise api(400, "Request contains an invalid argument.")
        if cloud.repository(project, location, name):
            raise api(409, "the repository already exists")
        made = Repository(project, location, name, kind, mode, str(body.get("description", "")))
        cloud.store.create(made)
        response = {
            "@type": "type.googleapis.com/google.devtools.artifactregistry.v1.Repository",
            **_repository(cloud, made),
        }
        return operation(request, "google.devtools.artifactregistry.v1.OperationMetadata", response)

    async def test_permissions(request: Request) -> Response:
        who = cloud.bearer(request)
        wanted = Repository(*(request.path_params[name] for name in ("project", "location", "repository")))
        found = cloud.repository(wanted.project, wanted.location, wanted.name)
        if found is None and cloud.absence(who, "artifactregistry.repositories.get", wanted) == 404:  # noqa: PLR2004
            raise api(404, f"Repository does not exist: {wanted.resource}")
        asked = (await _body(request)).get("permissions", [])
        held = [name for name in asked if found and cloud.permits(who, str(name), wanted.resource)]
        return JSONResponse({"permissions": held} if held else {})

    # Files

    async def list_files(request: Request) -> Response:
        repository = repository_of(request, "files.list")
        items = [_file(repository, stored) for stored in cloud.store.files(repository)]
        return _listing(request, "files", [item for item in items if _passes(request, item)])

    def file_of(request: Request, repository: Repository) -> StoredFile:
        package, _, filename = request.path_params["file"].partition("/")
        stored = cloud.store.find(repository, filename)
        if stored is None or stored.package != package:
            raise api(404, "Requested entity was not found.")
        return stored

    async def get_file(request: Request) -> Response:
        repository = repository_of(request, "files.get")
        return JSONResponse(_file(repository, file_of(request, repository)))

    async def download_file(request: Request) -> Response:
        repository = repository_of(request, "files.download")
        stored = file_of(request, repository)
        if request.query_params.get("alt") != "media":
            return JSONResponse({})
        return FileResponse(cloud.store.path(repository, stored), media_type="application/octet-stream")

    async def delete_file(request: Request) -> Response:
        repository = repository_of(request, "files.delete")
        return deletion(request, repository, [file_of(request, repository)])

    # Packages, versions, pythonPackages: views of the files

    def view(kind: str, permission: str, describe: Callable[[Repository, list[StoredFile]], list[Item]]) -> Any:
        async def listing(request: Request) -> Response:
            repository = repository_of(request, f"{permission}.list")
            items = describe(repository, _chosen(cloud, request, repository))
            return _listing(request, kind, [item for item in items if _passes(request, item)])

        async def getting(request: Request) -> Response:
            repository = repository_of(request, f"{permission}.get")
            wanted = request.url.path.partition("/v1/")[2]
            for item in describe(repository, _chosen(cloud, request, repository)):
                if item["name"] == wanted:
                    return JSONResponse(item)
            raise api(404, "Requested entity was not found.")

        async def deleting(request: Request) -> Response:
            repository = repository_of(request, f"{permission}.delete")
            files = _chosen(cloud, request, repository)
            if not files:
                raise api(404, "Requested entity was not found.")
            return deletion(request, repository, files)

        return listing, getting, deleting

    packages = view("packages", "packages", _packages)
    versions = view("versions", "versions", _versions)
    python = view("pythonPackages", "pythonpackages", _python_packages)

    location = "/v1/projects/{project}/locations/{location}"
    one = f"{location}/repositories/{{repository}}"
    package = f"{one}/packages/{{package}}"
    return [
        Route("/v1/projects/{project}/locations", list_locations),
        Route(location, get_location),
        Route(f"{location}/operations/{{operation}}", get_operation),
        Route(f"{location}/repositories", list_repositories),
        Route(f"{location}/repositories", create_repository, methods=["POST"]),
        Route(f"{one}:testIamPermissions", test_permissions, methods=["POST"]),
        Route(one, get_repository),
        Route(f"{one}/files", list_files),
        Route(f"{one}/files/{{file:path}}:download", download_file),
        Route(f"{one}/files/{{file:path}}", get_file),
        Route(f"{one}/files/{{file:path}}", delete_file, methods=["DELETE"]),
        Route(f"{one}/packages", packages[0]),
        Route(package, packages[1]),
        Route(package, packages[2], methods=["DELETE"]),
        Route(f"{package}/versions", versions[0]),
        Route(f"{package}/versions/{{version}}", versions[1]),
        Route(f"{package}/versions/{{version}}", versions[2], methods=["DELETE"]),
        Route(f"{one}/pythonPackages", python[0]),
        Route(f"{one}/pythonPackages/{{python}}", python[1]),
    ]


async def _body(request: Request) -> Item:
    try:
        body = json.loads(await request.body() or b"{}")
    except ValueError:
        raise api(400, "Invalid JSON payload received.") from None
    if not isinstance(body, dict):
        raise api(400, "Invalid JSON payload received.")
    return body


def _listing(request: Request, kind: str, items: list[Item]) -> Response:
    """One page of a list, in the order of the names: https://google.aip.dev/158"""
    try:
        size = min(int(request.query_params.get("pageSize") or 0) or PAGE_SIZE, PAGE_SIZE)
        start = base64.urlsafe_b64decode(request.query_params.get("pageToken", "")).decode()
    except (ValueError, binascii.Error):
        raise api(400, "Request contains an invalid argument.") from None
    ordered = sorted(items, key=lambda item: str(item["name"]))
    rest = [item for item in ordered if item["name"] > start]
    answer: Item = {kind: rest[:size]} if rest else {}
    if len(rest) > size:
        answer["nextPageToken"] = base64.urlsafe_b64encode(rest[size - 1]["name"].encode()).decode()
    return JSONResponse(answer)


def _passes(request: Request, item: Item) -> bool:
    """`filter=name="…" AND owner="…"`, where `*` stands for anything: all that gcloud sends."""
    for field, value in re.findall(r'(\w+)\s*[=:]\s*"([^"]*)"', request.query_params.get("filter", "")):
        pattern = ".*".join(re.escape(part) for part in value.split("*"))
        if not re.fullmatch(pattern, str(item.get(field, ""))):
            return False
    return True


def _chosen(cloud: Cloud, request: Request, repository: Repository) -> list[StoredFile]:
    """The files below the package and version that the path names."""
    package, version = request.path_params.get("package"), request.path_params.get("version")
    return [
        stored
        for stored in cloud.store.files(repository)
        if package in {None, stored.package} and version in {None, stored.version}
    ]


def _location(project: str, name: str) -> Item:
    return {"name": f"projects/{project}/locations/{name}", "locationId": name, "displayName": name}


def _repository(cloud: Cloud, repository: Repository) -> Item:
    files = cloud.store.files(repository)
    host = f"{repository.location}-{repository.format.lower()}.pkg.dev"
    item: Item = {
        "name": repository.resource,
        "format": repository.format,
        "mode": repository.mode,
        "createTime": "2026-01-01T00:00:00.000000Z",
        "updateTime": max((stored.created_at for stored in files), default="2026-01-01T00:00:00.000000Z"),
        "registryUri": f"{host}/{repository.project}/{repository.name}",
    }
    if repository.description:
        item["description"] = repository.description
    if files:
        item["sizeBytes"] = str(sum(stored.size for stored in files))
    return item


def _file(repository: Repository, stored: StoredFile) -> Item:
    escaped = f"{stored.package}/{stored.filename}".replace("/", "%2F").replace("+", "%2B").replace("^", "%5E")
    return {
        "name": f"{repository.resource}/files/{escaped}",
        "sizeBytes": str(stored.size),
        "hashes": [
            {"type": kind, "value": base64.b64encode(bytes.fromhex(value)).decode()}
            for kind, value in (("SHA256", stored.sha256), ("MD5", stored.md5))
        ],
        "createTime": stored.created_at,
        "updateTime": stored.created_at,
        "owner": f"{repository.resource}/packages/{stored.package}/versions/{stored.version}",
    }


def _packages(repository: Repository, files: list[StoredFile]) -> list[Item]:
    return [
        {"name": f"{repository.resource}/packages/{package}", "displayName": package, **_times(group)}
        for (package,), group in _grouped(files, "package")
    ]


def _versions(repository: Repository, files: list[StoredFile]) -> list[Item]:
    return [
        {"name": f"{repository.resource}/packages/{package}/versions/{version}", **_times(group)}
        for (package, version), group in _grouped(files, "package", "version")
    ]


def _python_packages(repository: Repository, files: list[StoredFile]) -> list[Item]:
    host = f"{repository.location}-python.pkg.dev"
    return [
        {
            "name": f"{repository.resource}/pythonPackages/{package}:{version}",
            "uri": f"{host}/{repository.project}/{repository.name}/{package}/{group[0].filename}",
            "packageName": package,
            "version": version,
            **_times(group),
        }
        for (package, version), group in _grouped(files, "package", "version")
    ]


def _grouped(files: list[StoredFile], *names: str) -> list[tuple[tuple[str, ...], list[StoredFile]]]:
    groups: dict[tuple[str, ...], list[StoredFile]] = {}
    for stored in files:
        groups.setdefault(tuple(getattr(stored, name) for name in names), []).append(stored)
    return list(groups.items())


def _times(files: list[StoredFile]) -> Item:
    return {
        "createTime": min(stored.created_at for stored in files),
        "updateTime": max(stored.created_at for stored in files),
    }
