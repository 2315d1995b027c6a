"""The Artifact Registry API: attachments, and uploads of their files.

https://cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations.repositories.attachments
"""

import re
from collections.abc import Callable
from urllib.parse import unquote
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gar_emulator.artifact_registry import listing, resources
from gar_emulator.artifact_registry.operations import EMPTY, TYPE, Operations
from gar_emulator.artifact_registry.resources import Item
from gar_emulator.cloud import downloads
from gar_emulator.cloud.attachment_store import AttachedFile, Attachment
from gar_emulator.cloud.cloud import Cloud
from gar_emulator.cloud.package_store import AlreadyExists, rfc3339
from gar_emulator.cloud.refusals import api, invalid_argument, json_body, not_found
from gar_emulator.world.world import Repository

ATTACHMENT_ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
SHA256 = re.compile(r"[0-9a-f]{64}")
EXISTS = 6
"""google.rpc.Code.ALREADY_EXISTS"""


def routes(
    cloud: Cloud, one: str, *, permitted: Callable[[Request, str], Repository], operations: Operations
) -> list[Route]:
    """Return the routes for attachments, which must come before the routes for other files.

    Args:
        cloud: The emulated Google.
        one: The route of a repository.
        permitted: Returns the repository of a call whose caller has the permission.
        operations: The long-running operations.
    """
    service = Attachments(cloud, permitted, operations)
    file = f"{one}/files/sha256:{{digest}}"
    attachment = f"{one}/attachments/{{attachment}}"
    return [
        Route(f"/upload{one}/files:upload", service.upload, methods=["POST"]),
        Route(f"/resumable/upload{one}/files:upload", service.start_upload, methods=["POST"]),
        Route(f"/resumable/upload{one}/files:upload", service.continue_upload, methods=["PUT"]),
        Route(f"{file}:download", service.download_file),
        Route(file, service.get_file),
        Route(file, service.annotate_file, methods=["PATCH"]),
        Route(f"{one}/attachments", service.create, methods=["POST"]),
        Route(f"{one}/attachments", service.list),
        Route(attachment, service.get),
        Route(attachment, service.delete, methods=["DELETE"]),
    ]


class Attachments:
    def __init__(self, cloud: Cloud, permitted: Callable[[Request, str], Repository], operations: Operations) -> None:
        self._cloud = cloud
        self._store = cloud.attachments
        self._permitted = permitted
        self._operations = operations
        self._uploads: dict[str, bytearray] = {}

    # Uploads, by two protocols: https://cloud.google.com/storage/docs/uploads-downloads

    async def upload(self, request: Request) -> Response:
        repository = self._uploadable(request)
        parts = _related(request.headers.get("content-type", ""), await request.body())
        if len(parts) != 2:  # noqa: PLR2004 - metadata and contents
            raise invalid_argument()
        return self._keep(request, repository, parts[1])

    async def start_upload(self, request: Request) -> Response:
        self._uploadable(request)
        session = uuid4().hex
        self._uploads[session] = bytearray()
        return Response(headers={"Location": str(request.url.include_query_params(upload_id=session))})

    async def continue_upload(self, request: Request) -> Response:
        """Receive a chunk; status 308 asks for the next one."""
        repository = self._uploadable(request)
        session = request.query_params.get("upload_id", "")
        found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", request.headers.get("content-range", ""))
        so_far = self._uploads.get(session)
        if so_far is None or not found or int(found[1]) != len(so_far):
            raise invalid_argument()
        so_far += await request.body()
        if found[3] == "*" or len(so_far) < int(found[3]):
            return Response(status_code=308, headers={"Range": f"bytes=0-{len(so_far) - 1}"})
        return self._keep(request, repository, bytes(self._uploads.pop(session)))

    def _uploadable(self, request: Request) -> Repository:
        repository = self._permitted(request, "files.upload")
        if repository.format == "DOCKER" or repository.mode != "STANDARD_REPOSITORY":
            raise invalid_argument()
        return repository

    def _keep(self, request: Request, repository: Repository, content: bytes) -> Response:
        try:
            file = self._store.add_file(repository, content, self._cloud.clock())
        except AlreadyExists as digest:
            failed = {"code": EXISTS, "message": f"file sha256:{digest} already exists"}
            return JSONResponse({"operation": self._operations.ended(request, error=failed)})
        described = {"@type": f"{TYPE}.File", **file_item(repository, file)}
        return JSONResponse({"operation": self._operations.ended(request, response=described)})

    # Files

    def _file(self, request: Request, repository: Repository) -> AttachedFile:
        digest = request.path_params["digest"]
        found = self._store.file(repository, digest) if SHA256.fullmatch(digest) else None
        if found is None:
            raise not_found()
        return found

    async def get_file(self, request: Request) -> Response:
        repository = self._permitted(request, "files.get")
        return JSONResponse(file_item(repository, self._file(request, repository)))

    async def download_file(self, request: Request) -> Response:
        repository = self._permitted(request, "files.download")
        file = self._file(request, repository)
        if request.query_params.get("alt") != "media":
            return JSONResponse({})
        return downloads.download(request, self._cloud, repository, self._store.path(repository, file.sha256))

    async def annotate_file(self, request: Request) -> Response:
        repository = self._permitted(request, "files.update")
        file = self._file(request, repository)
        annotations = (await json_body(request)).get("annotations")
        if request.query_params.get("updateMask") != "annotations" or not isinstance(annotations, dict):
            raise invalid_argument()
        self._store.annotate(repository, file, annotations, self._cloud.clock())
        return JSONResponse(file_item(repository, self._file(request, repository)))

    # Attachments

    async def create(self, request: Request) -> Response:
        repository = self._permitted(request, "attachments.create")
        body, id_ = await json_body(request), request.query_params.get("attachmentId", "")
        files = body.get("files")
        if not ATTACHMENT_ID.fullmatch(id_) or not isinstance(files, list) or not files:
            raise invalid_argument()
        target = str(body.get("target"))
        held = {f"{repository.resource}/files/sha256:{each.sha256}" for each in self._store.files(repository)}
        if unquote(target) not in self._targets(repository) or not {unquote(str(each)) for each in files} <= held:
            raise not_found()
        attachment = Attachment(
            id=id_,
            target=target,
            type=str(body.get("type", "")),
            namespace=str(body.get("attachmentNamespace", "")),
            annotations=body.get("annotations", {}),
            files=tuple(map(str, files)),
            created=self._cloud.clock(),
        )
        try:
            self._store.add(repository, attachment)
        except AlreadyExists:
            raise api(409, "the attachment already exists") from None
        described = {"@type": f"{TYPE}.Attachment", **_item(repository, attachment)}
        return JSONResponse(self._operations.ended(request, response=described))

    async def list(self, request: Request) -> Response:
        repository = self._permitted(request, "attachments.list")
        items = [_item(repository, each) for each in self._store.attachments(repository)]
        return listing.page(request, "attachments", items)

    async def get(self, request: Request) -> Response:
        repository = self._permitted(request, "attachments.get")
        return JSONResponse(_item(repository, self._attachment(request, repository)))

    async def delete(self, request: Request) -> Response:
        repository = self._permitted(request, "attachments.delete")
        self._store.remove(repository, self._attachment(request, repository))
        return JSONResponse(self._operations.ended(request, response=EMPTY))

    def _attachment(self, request: Request, repository: Repository) -> Attachment:
        for each in self._store.attachments(repository):
            if each.id == request.path_params["attachment"]:
                return each
        raise not_found()

    def _targets(self, repository: Repository) -> set[str]:
        files = self._cloud.store.files(repository)
        items = [*resources.packages(repository, files), *resources.versions(repository, files)]
        return {repository.resource, *(unquote(item["name"]) for item in items)}


def file_item(repository: Repository, file: AttachedFile) -> Item:
    return {
        "name": f"{repository.resource}/files/sha256:{file.sha256}",
        "sizeBytes": str(file.size),
        "hashes": resources.hashes(file),
        "createTime": rfc3339(file.created),
        "updateTime": rfc3339(file.updated),
        "annotations": dict(file.annotations),
    }


def _item(repository: Repository, attachment: Attachment) -> Item:
    created = rfc3339(attachment.created)
    return {
        "name": f"{repository.resource}/attachments/{attachment.id}",
        "target": attachment.target,
        "type": attachment.type,
        "attachmentNamespace": attachment.namespace,
        "annotations": dict(attachment.annotations),
        "files": list(attachment.files),
        "createTime": created,
        "updateTime": created,
    }


def _related(content_type: str, body: bytes) -> list[bytes]:
    """Return the parts of a multipart/related body (RFC 2387), also in gcloud's form: quotes ', lines end with LF."""
    found = re.search(r"""boundary=["']?([^"';]+)""", content_type)
    if not content_type.startswith("multipart/related") or not found:
        return []
    pieces = body.split(f"--{found[1]}".encode())[1:-1]
    contents = [re.split(rb"\r?\n\r?\n", piece, maxsplit=1)[-1] for piece in pieces]
    return [re.sub(rb"\r?\n\Z", b"", content) for content in contents]
