"""The IAM API: workload identity pools and their OIDC providers.

https://cloud.google.com/iam/docs/reference/rest/v1/projects.locations.workloadIdentityPools
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gar_emulator.cloud.cloud import Cloud
from gar_emulator.cloud.refusals import api, invalid_argument, json_body, not_found
from gar_emulator.tokens.github import ISSUER
from gar_emulator.world.world import Pool, Project, Provider

Item = Pool | Provider
Body = dict[str, Any]

_ID = re.compile(r"(?!gcp-)[a-z0-9-]{4,32}")
_ATTRIBUTE = re.compile(r"google\.(subject|groups)|attribute\.[a-z0-9_]{1,100}")
_LONGEST_NAME = 32
_LONGEST_DESCRIPTION = 256
#: The API's fields, and the attributes of the world's dataclasses.
_COMMON = {"displayName": "display_name", "description": "description", "disabled": "disabled"}
_FIELDS: Mapping[type[Item], Mapping[str, str]] = {
    Pool: _COMMON,
    Provider: {
        **_COMMON,
        "attributeMapping": "mapping",
        "attributeCondition": "condition",
        "oidc.issuerUri": "issuer",
        "oidc.allowedAudiences": "allowed_audiences",
        "oidc.jwksJson": "jwks",
    },
}


def routes(cloud: Cloud) -> list[Route]:
    pools = "/v1/projects/{project}/locations/global/workloadIdentityPools"
    providers = f"{pools}/{{pool}}/providers"
    return [*_Api(cloud, Pool).routes(pools), *_Api(cloud, Provider).routes(providers)]


class _Api:
    """The methods for pools, or for providers."""

    def __init__(self, cloud: Cloud, kind: type[Item]) -> None:
        self._cloud = cloud
        self._kind = kind
        self._name = "workloadIdentityPools" if kind is Pool else "workloadIdentityPoolProviders"

    def routes(self, path: str) -> list[Route]:
        one = f"{path}/{{id}}"
        return [
            Route(f"{one}/operations/{{operation}}", self.operation),
            Route(path, self.listing),
            Route(path, self.create, methods=["POST"]),
            Route(f"{one}:undelete", self.undelete, methods=["POST"]),
            Route(one, self.get),
            Route(one, self.patch, methods=["PATCH"]),
            Route(one, self.delete, methods=["DELETE"]),
        ]

    async def create(self, request: Request) -> Response:
        project = self._project(request, "create")
        self._pool(request, project)
        id_ = request.query_params.get(f"{self._name.removesuffix('s')}Id", "")
        if not _ID.fullmatch(id_):
            raise api(400, f"Invalid ID: {id_}")
        item = self._blank(request, project, id_)
        if self._find(item):
            raise api(409, "Requested entity already exists")
        item = _filled(item, await json_body(request), "")
        return self._put(item, project)

    async def get(self, request: Request) -> Response:
        project = self._project(request, "get")
        return JSONResponse(_shown(self._wanted(request, project), project))

    async def listing(self, request: Request) -> Response:
        project = self._project(request, "list")
        deleted = request.query_params.get("showDeleted") == "true"
        parent = self._blank(request, project, "").resource
        found = [item for item in self._items() if item.resource.startswith(parent) and deleted >= item.deleted]
        return JSONResponse({self._name: [_shown(item, project) for item in found]} if found else {})

    async def patch(self, request: Request) -> Response:
        project = self._project(request, "update")
        item = self._wanted(request, project)
        if item.deleted:
            raise api(400, "Precondition check failed.", status="FAILED_PRECONDITION")
        mask = request.query_params.get("updateMask", "")
        return self._put(_filled(item, await json_body(request), mask), project)

    async def delete(self, request: Request) -> Response:
        project = self._project(request, "delete")
        return self._put(replace(self._wanted(request, project), deleted=True), project)

    async def undelete(self, request: Request) -> Response:
        project = self._project(request, "undelete")
        return self._put(replace(self._wanted(request, project), deleted=False), project)

    async def operation(self, request: Request) -> Response:
        self._project(request, "get")
        return JSONResponse({"name": request.url.path.partition("/v1/")[2], "done": True})

    def _project(self, request: Request, verb: str) -> Project:
        return self._cloud.authorize_project(request, f"iam.{self._name}.{verb}")

    def _pool(self, request: Request, project: Project) -> None:
        """Raise Refusal if the pool of a provider does not exist."""
        name = request.path_params.get("pool")
        pool = self._cloud.pool(project.id, name) if name else None
        if name and (pool is None or pool.deleted):
            raise not_found()

    def _items(self) -> tuple[Item, ...]:
        return self._cloud.world.pools if self._kind is Pool else self._cloud.world.providers

    def _blank(self, request: Request, project: Project, id_: str) -> Item:
        if self._kind is Pool:
            return Pool(project.id, id_)
        return Provider(project.id, request.path_params["pool"], id_, issuer="", mapping={})

    def _find(self, wanted: Item) -> Item | None:
        return next((item for item in self._items() if item.resource == wanted.resource), None)

    def _wanted(self, request: Request, project: Project) -> Item:
        found = self._find(self._blank(request, project, request.path_params["id"]))
        if found is None:
            raise not_found()
        return found

    def _put(self, item: Item, project: Project) -> Response:
        """Return a long-running operation that has already taken effect."""
        self._cloud.put(item)
        return JSONResponse({"name": f"{_shown(item, project)['name']}/operations/{uuid4().hex}"})


def _filled(item: Item, body: Body, mask: str) -> Item:
    """Return an item updated with the fields of a body that a mask names. An empty mask names all fields of the body.

    Raises:
        Refusal: 400, for an unknown field or an invalid value.
    """
    fields = _FIELDS[type(item)]
    oidc = body.get("oidc") if isinstance(body.get("oidc"), dict) else {}
    given = {**body, **{f"oidc.{name}": value for name, value in (oidc or {}).items()}}
    names = mask.split(",") if mask else [name for name in given if name in fields]
    if unknown := set(names) - set(fields):
        raise api(400, f"Invalid update mask: {', '.join(sorted(unknown))}")
    blank = Pool("", "") if isinstance(item, Pool) else Provider("", "", "", "", {})
    values = {fields[name]: given.get(name, getattr(blank, fields[name])) for name in names}
    if "allowed_audiences" in values:
        values["allowed_audiences"] = tuple(values["allowed_audiences"])
    filled: Item = replace(item, **values)
    _check(filled)
    return filled


def _check(item: Item) -> None:
    if len(item.display_name) > _LONGEST_NAME or len(item.description) > _LONGEST_DESCRIPTION:
        raise invalid_argument()
    if isinstance(item, Pool):
        return

    from gar_emulator.world.expressions import check  # CEL takes long to load

    if not item.issuer.startswith("https://"):
        raise api(400, f"Invalid issuer URI: {item.issuer}")
    if "google.subject" not in item.mapping or not all(_ATTRIBUTE.fullmatch(name) for name in item.mapping):
        raise api(400, "The attribute mapping must map google.subject, and nothing but google.* and attribute.*.")
    for expression in (*item.mapping.values(), item.condition):
        if problem := check(expression) if expression else "":
            raise api(400, f"Invalid expression: {expression} ({problem})")
    if item.issuer == ISSUER and not re.search(r"\b(assertion|attribute|google)\b", item.condition):
        raise api(
            400,
            "The attribute condition must reference one of the provider's claims. For more information, see "
            "https://cloud.google.com/iam/docs/workload-identity-federation-with-deployment-pipelines#conditions",
        )


def _shown(item: Item, project: Project) -> Body:
    shown: Body = {
        "name": item.resource.replace(project.resource, f"projects/{project.number}", 1),
        "state": "DELETED" if item.deleted else "ACTIVE",
    }
    for name, attribute in _FIELDS[type(item)].items():
        value = getattr(item, attribute)
        if value:
            group, _, leaf = name.rpartition(".")
            plain = dict(value) if isinstance(value, Mapping) else value
            (shown.setdefault(group, {}) if group else shown)[leaf] = plain
    return shown
