"""The uploads, the simple index and the files of `LOCATION-python.pkg.dev`.

https://cloud.google.com/artifact-registry/docs/python and PEP 503
"""

import re
from contextlib import aclosing, suppress
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import Version
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from gar_emulator.cloud import downloads
from gar_emulator.cloud.cloud import Cloud
from gar_emulator.cloud.package_store import AlreadyExists, StoredFile
from gar_emulator.cloud.refusals import Refusal, host_text, text, why_disabled
from gar_emulator.packages import filenames, form, metadata, simple
from gar_emulator.packages.callers import caller, challenge
from gar_emulator.world.iam import CLOUD_PLATFORM, in_scope
from gar_emulator.world.services import ARTIFACT_REGISTRY
from gar_emulator.world.world import Repository

HOST = re.compile(r"([a-z0-9-]+)-python\.pkg\.dev")
UPLOAD = "artifactregistry.repositories.uploadArtifacts"
DOWNLOAD = "artifactregistry.repositories.downloadArtifacts"

LARGE = 1024 * 1024
"""Bytes of an upload from which a refusal does not wait for the body."""


def routes(cloud: Cloud) -> list[Route]:
    host = PythonHost(cloud)
    root = "/{project}/{repository}"
    return [
        downloads.route(cloud),
        Route(root, host.upload, methods=["POST"]),
        Route(f"{root}/", host.upload, methods=["POST"]),
        Route(f"{root}/simple", host.index),
        Route(f"{root}/simple/", host.index),
        Route(f"{root}/simple/{{package}}", host.package),
        Route(f"{root}/simple/{{package}}/", host.package),
        Route(f"{root}/{{package}}/{{filename}}", host.download),
    ]


def endpoint(method: str, path: str) -> str:
    """Return the endpoint of a request, as faults name it."""
    if method == "POST":
        return "upload"
    return "index" if path.split("/")[3:4] == ["simple"] else "download"


class PythonHost:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    async def upload(self, request: Request) -> Response:
        switches = self._cloud.switches
        large = int(request.headers.get("content-length", "0")) > LARGE
        early = large and switches.early_refusals != "never"
        try:
            if not request.url.path.endswith("/") and not switches.slashless_uploads:
                raise host_text(switches, 404, "The address of a repository ends with a slash.")
            repository = self._authorize(request, UPLOAD)
            if repository.mode != "STANDARD_REPOSITORY":
                raise host_text(
                    switches,
                    switches.wrong_repository_status,
                    f"Cannot upload to the {repository.mode} {repository.resource}.",
                )
            await self._receive(request, repository, early=early)
        except Refusal:
            if early:
                request.scope["state"]["connection"].end_with_answer(reset=switches.early_refusals == "reset")
            else:
                with suppress(RuntimeError):  # it is read already
                    async for _ in request.stream():
                        pass
            raise
        except ClientDisconnect:
            raise text(400, "The upload is cut short.") from None
        except form.BadForm as problem:
            raise text(400, str(problem)) from None
        return Response(status_code=switches.upload_status)

    async def index(self, request: Request) -> Response:
        if not self._cloud.switches.root_index:
            raise host_text(self._cloud.switches, 404, "There is no index of all packages.")
        repository = self._authorize(request, DOWNLOAD)
        files = self._visible(request, self._cloud.store.files(repository))
        return simple.index(request, self._cloud.switches, repository, files)

    async def package(self, request: Request) -> Response:
        repository = self._authorize(request, DOWNLOAD)
        given = request.path_params["package"]
        name = canonicalize_name(given)
        files = self._visible(request, self._cloud.store.files(repository, name))
        if not files or (name != given and not self._cloud.switches.any_spelling):
            raise host_text(self._cloud.switches, 404, f'Package "{given}" not found')
        return simple.package(request, self._cloud.switches, repository, files)

    async def download(self, request: Request) -> Response:
        repository = self._authorize(request, DOWNLOAD)
        package, filename = request.path_params["package"], request.path_params["filename"]
        if "!" in filename and not self._cloud.switches.epochs:
            raise text(400, "Invalid file name")
        distribution = metadata.described(filename) if self._cloud.switches.metadata_files else filename
        stored = self._cloud.store.find(repository, distribution)
        if stored is None or stored.package != package or not self._visible(request, [stored]):
            raise text(404, "The requested entity was not found.")
        if distribution != filename:
            return metadata.of_wheel(self._cloud.store.path(repository, stored))
        return downloads.download(request, self._cloud, repository, self._cloud.store.path(repository, stored))

    def _visible(self, request: Request, files: list[StoredFile]) -> list[StoredFile]:
        latest = self._cloud.true_clock() - max(self._cloud.switches.index_delay, request.scope.get("lag", 0.0))
        return [stored for stored in files if stored.created <= latest]

    def _authorize(self, request: Request, permission: str) -> Repository:
        """Return the repository of a request whose caller has the permission.

        Raises:
            Refusal: 401, 403, 404, or the repository has another format.
        """
        cloud = self._cloud
        location = request.scope["host_match"][1]
        wanted = Repository(request.path_params["project"], location, request.path_params["repository"])
        repository = cloud.repository(wanted.project, wanted.location, wanted.name)
        if repository and not cloud.is_visible(repository):
            repository = None
        who = caller(cloud, request)
        limit = cloud.switches.attributes_limit
        if who and who.federated and 0 < limit < who.attributes_size:
            raise host_text(
                cloud.switches,
                400,
                f"The mapped attributes have {who.attributes_size} bytes; at most {limit} are allowed.",
            )
        project = cloud.project(wanted.project)
        if project and ARTIFACT_REGISTRY in project.disabled_services:
            raise host_text(cloud.switches, 403, why_disabled(ARTIFACT_REGISTRY, project.number))
        granted = repository is not None and cloud.permits(who, permission, repository.resource)
        if who is None and not granted:
            raise host_text(
                cloud.switches,
                401,
                f'Unauthenticated request. Unauthenticated requests do not have permission "{permission}" '
                f'on resource "{wanted.resource}" (or it may not exist)',
                challenge(cloud.switches),
            )
        if who and not (
            in_scope(who.scopes, permission) and (cloud.switches.read_only_scope or CLOUD_PLATFORM in who.scopes)
        ):
            raise host_text(cloud.switches, 403, "Request had insufficient authentication scopes.")
        if repository is None and cloud.missing_status(who, permission, wanted) == 404:  # noqa: PLR2004 - an HTTP status
            raise host_text(cloud.switches, 404, f'Repository "{wanted.name}" not found')
        if repository is None or not granted:
            raise host_text(
                cloud.switches,
                403,
                f'Permission "{permission}" denied on resource "{wanted.resource}" (or it may not exist)',
            )
        if repository.format != "PYTHON":
            raise host_text(
                cloud.switches,
                cloud.switches.wrong_repository_status,
                f"Repository {repository.resource} has the format {repository.format}, not PYTHON.",
            )
        return repository

    async def _receive(self, request: Request, repository: Repository, *, early: bool) -> None:
        """Read an upload into the repository.

        Args:
            request: The upload.
            repository: The repository.
            early: Whether to refuse it as soon as the reason is known.

        Raises:
            BadForm: The upload is incomplete or inconsistent.
            Refusal: The file is too large, or the repository already has a file of that name.
        """
        draft = self._cloud.store.draft()
        try:
            arrived: form.Form | None = None
            async with aclosing(form.read(request.headers.get("content-type", ""), request.stream(), draft)) as growing:
                async for arrived in growing:
                    if early:
                        self._check_name_and_size(repository, arrived)
            if arrived is None:
                raise form.BadForm("The form is empty.")
            self._check_name_and_size(repository, arrived)
            self._store(repository, draft, self._checked(arrived))
        finally:
            draft.unlink(missing_ok=True)

    def _check_name_and_size(self, repository: Repository, arrived: form.Form) -> None:
        switches = self._cloud.switches
        if switches.max_upload_size and arrived.size > switches.max_upload_size:
            raise text(413, f"The largest file has {switches.max_upload_size} bytes.")
        store = self._cloud.store
        if not switches.duplicate_identical and store.find(repository, arrived.filename):
            raise self._duplicate()
        if not switches.reuse_deleted and store.was_deleted(repository, arrived.filename):
            raise self._duplicate()

    def _store(self, repository: Repository, draft: Path, stored: StoredFile) -> None:
        store = self._cloud.store
        try:
            store.add(repository, draft, stored)
        except AlreadyExists:
            present = store.find(repository, stored.filename)
            if not (self._cloud.switches.duplicate_identical and present and present.sha256 == stored.sha256):
                raise self._duplicate() from None

    def _duplicate(self) -> Refusal:
        return text(self._cloud.switches.duplicate_status, "Requested entity already exists.")

    def _checked(self, arrived: form.Form) -> StoredFile:
        """Return the file that a complete form describes.

        Raises:
            BadForm: A field is missing, malformed or does not match the file name.
        """
        fields = arrived.fields
        if fields.get(":action") != "file_upload" or not arrived.filename:
            raise form.BadForm("An upload has the action file_upload and a file named content.")
        try:
            name, version = filenames.parse(arrived.filename)
            declared = Version(fields.get("version", ""))
        except ValueError as problem:
            raise form.BadForm(f"Invalid distribution: {problem}") from None
        switches = self._cloud.switches
        if switches.check_names and (name, version) != (canonicalize_name(fields.get("name", "")), declared):
            raise form.BadForm("The file name does not match the name and version.")
        if version.epoch and not switches.epochs:
            raise form.BadForm("A version with an epoch is not supported.")
        digests = arrived.digests()
        if switches.check_digests:
            for field, actual in digests.items():
                if fields.get(f"{field}_digest", actual).lower() != actual:
                    raise form.BadForm(f"The {field}_digest does not match the file.")
        return StoredFile(
            package=name,
            version=str(version),
            filename=arrived.filename,
            size=arrived.size,
            sha256=digests["sha256"],
            md5=digests["md5"],
            requires_python=fields.get("requires_python", ""),
            created=self._cloud.true_clock(),
        )
