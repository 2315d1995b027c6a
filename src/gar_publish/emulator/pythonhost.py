"""`LOCATION-python.pkg.dev`: takes uploads, serves the simple index (PEP 503) and the files.

https://cloud.google.com/artifact-registry/docs/python
"""

import base64
import binascii
import hmac
import html
import json
import re
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from gar_publish.emulator import form
from gar_publish.emulator.answers import Refusal, text
from gar_publish.emulator.cloud import Cloud
from gar_publish.emulator.iam import CLOUD_PLATFORM, in_scope
from gar_publish.emulator.keys import Identity, decode_basic, identity
from gar_publish.emulator.store import AlreadyExists, StoredFile
from gar_publish.emulator.world import Repository

HOST = re.compile(r"([a-z0-9-]+)-python\.pkg\.dev")
UPLOAD = "artifactregistry.repositories.uploadArtifacts"
DOWNLOAD = "artifactregistry.repositories.downloadArtifacts"
JSON_TYPE = "application/vnd.pypi.simple.v1+json"


def routes(cloud: Cloud) -> list[Route]:
    async def upload(request: Request) -> Response:
        try:
            repository = enter(cloud, request, UPLOAD)
            if repository.mode != "STANDARD_REPOSITORY":
                raise text(
                    cloud.switches.wrong_repository_status,
                    f"Cannot upload to the {repository.mode} {repository.resource}.",
                )
        except Refusal:
            async for _ in request.stream():  # the answer is read only by a client that could say everything
                pass
            raise
        draft = cloud.store.draft()
        try:
            await _take(cloud, request, repository, draft)
        except ClientDisconnect:
            raise text(400, "The upload is cut short.") from None
        except form.BadForm as problem:
            raise text(400, str(problem)) from None
        finally:
            draft.unlink(missing_ok=True)
        return Response(status_code=cloud.switches.upload_status)

    async def index(request: Request) -> Response:
        repository = enter(cloud, request, DOWNLOAD)
        names = sorted({stored.package for stored in _visible(cloud, repository)})
        if _wants_json(cloud, request):
            projects = [{"name": name} for name in names]
            return JSONResponse({"meta": {"api-version": "1.0"}, "projects": projects}, media_type=JSON_TYPE)
        base = f"{_address(request, repository)}/simple"
        return _page("Simple index", [f'<a href="{base}/{name}/">{name}</a>' for name in names])

    async def project(request: Request) -> Response:
        repository = enter(cloud, request, DOWNLOAD)
        name = canonicalize_name(request.path_params["package"])
        files = [stored for stored in _visible(cloud, repository) if stored.package == name]
        if not files:
            raise text(404, f'Package "{name}" not found')
        if _wants_json(cloud, request):
            return JSONResponse(_json_page(cloud, request, repository, files), media_type=JSON_TYPE)
        return _page(f"Links for {name}", [_link(cloud, request, repository, stored) for stored in files])

    async def download(request: Request) -> Response:
        repository = enter(cloud, request, DOWNLOAD)
        package, filename = request.path_params["package"], request.path_params["filename"]
        if "!" in filename:
            raise text(400, "Invalid file name")
        stored = cloud.store.find(repository, filename)
        if stored is None or stored.package != package or stored not in _visible(cloud, repository):
            raise text(404, "The requested entity was not found.")
        return FileResponse(cloud.store.path(repository, stored), media_type="application/octet-stream")

    root = "/{project}/{repository}"
    return [
        Route(f"{root}/", upload, methods=["POST"]),
        Route(f"{root}/simple", index),
        Route(f"{root}/simple/", index),
        Route(f"{root}/simple/{{package}}", project),
        Route(f"{root}/simple/{{package}}/", project),
        Route(f"{root}/{{package}}/{{filename}}", download),
    ]


# Who comes in


def enter(cloud: Cloud, request: Request, permission: str) -> Repository:
    """The repository that a request is about, once the request may do with it what it wants.

    Raises:
        Refusal: 401, 403, 404, or a repository of another format.
    """
    location = request.scope["host_match"][1]
    wanted = Repository(request.path_params["project"], location, request.path_params["repository"])
    repository = cloud.repository(wanted.project, wanted.location, wanted.name)
    who = _caller(cloud, request)
    granted = repository is not None and cloud.permits(who, permission, repository.resource)
    if who is None and not granted:
        raise text(
            401,
            f'Unauthenticated request. Unauthenticated requests do not have permission "{permission}" '
            f'on resource "{wanted.resource}" (or it may not exist)',
            {"WWW-Authenticate": 'Basic realm="Artifact Registry"'},
        )
    denied = text(403, f'Permission "{permission}" denied on resource "{wanted.resource}" (or it may not exist)')
    if who and not _in_scope(cloud, who, permission):
        raise text(403, "Request had insufficient authentication scopes.")
    if repository is None:
        if cloud.absence(who, permission, wanted) == 403:  # noqa: PLR2004 - an HTTP status
            raise denied
        raise text(404, f'Repository "{wanted.name}" not found')
    if not granted:
        raise denied
    if repository.format != "PYTHON":
        raise text(
            cloud.switches.wrong_repository_status,
            f"Repository {repository.resource} has the format {repository.format}, not PYTHON.",
        )
    return repository


def _in_scope(cloud: Cloud, who: Identity, permission: str) -> bool:
    return in_scope(who.scopes, permission) and (cloud.switches.read_only_scope or CLOUD_PLATFORM in who.scopes)


def _caller(cloud: Cloud, request: Request) -> Identity | None:
    """Whom the credentials belong to; None where there are none.

    Raises:
        Refusal: 401, for credentials that are not good.
    """
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if not scheme:
        return None
    who: Identity | None = None
    if scheme.lower() == "bearer" and cloud.switches.bearer_tokens:
        who = cloud.speaks_for(value.strip())
    elif scheme.lower() == "basic":
        user, password = decode_basic(value.strip())
        if user == "oauth2accesstoken":
            who = cloud.speaks_for(password)
        elif user == "_json_key_base64":
            who = _key_owner(cloud, password)
    if who is None or (who.federated and not cloud.switches.federated_tokens):
        raise text(
            401,
            "Request had invalid authentication credentials.",
            {"WWW-Authenticate": 'Basic realm="Artifact Registry"'},
        )
    request.scope["principal"] = who.principal
    return who


def _key_owner(cloud: Cloud, password: str) -> Identity | None:
    """The account of a JSON key that is given whole, in base64."""
    try:
        key: Any = json.loads(base64.b64decode(password, validate=True))
        email, secret = str(key["client_email"]), str(key["private_key"])
    except (binascii.Error, ValueError, KeyError, TypeError):
        return None
    account = cloud.account(email)
    declared = any(item.account == email and not item.disabled for item in cloud.world.keys)
    if account is None or account.disabled or not declared:
        return None
    if not hmac.compare_digest(secret.encode(), cloud.keys.account_key(email)["private_key"].encode()):
        return None
    return identity(f"serviceAccount:{email}", frozenset({CLOUD_PLATFORM}), {})


# What goes in


async def _take(cloud: Cloud, request: Request, repository: Repository, draft: Path) -> None:
    switches = cloud.switches
    body = _body(request)
    arrived: form.Form | None = None
    async with aclosing(form.read(request.headers.get("content-type", ""), body, draft)) as growing:
        async for arrived in growing:
            if switches.max_upload_size and arrived.size > switches.max_upload_size:
                raise text(413, f"A file may have {switches.max_upload_size} bytes.", {"Connection": "close"})
            if switches.duplicate_early and cloud.store.find(repository, arrived.filename):
                raise text(switches.duplicate_status, "Requested entity already exists", {"Connection": "close"})
    if arrived is None:
        raise form.BadForm("The form is empty.")
    stored = _checked(cloud, arrived)
    try:
        cloud.store.add(repository, draft, stored)
    except AlreadyExists:
        present = cloud.store.find(repository, stored.filename)
        if switches.duplicate_identical and present and present.sha256 == stored.sha256:
            return
        raise text(switches.duplicate_status, "Requested entity already exists") from None


async def _body(request: Request) -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        yield chunk


def _checked(cloud: Cloud, arrived: form.Form) -> StoredFile:
    """A complete form as the file that it describes.

    Raises:
        BadForm: Something in it is missing, malformed or contradicts the file's name.
    """
    fields = arrived.fields
    if fields.get(":action") != "file_upload" or not arrived.filename:
        raise form.BadForm("An upload has the action file_upload and a file named content.")
    try:
        if arrived.filename.endswith(".whl"):
            name, version, _, _ = parse_wheel_filename(arrived.filename)
        else:
            name, version = parse_sdist_filename(arrived.filename)
        declared = Version(fields.get("version", ""))
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion) as problem:
        raise form.BadForm(f"Invalid distribution: {problem}") from None
    if (name, version) != (canonicalize_name(fields.get("name", "")), declared):
        raise form.BadForm("The file name does not belong to the given name and version.")
    if version.epoch:
        raise form.BadForm("A version with an epoch is not supported.")
    sha256, md5, blake2 = arrived.sha256.hexdigest(), arrived.md5.hexdigest(), arrived.blake2.hexdigest()
    if cloud.switches.check_digests:
        for field, actual in (("sha256_digest", sha256), ("md5_digest", md5), ("blake2_256_digest", blake2)):
            if fields.get(field, actual).lower() != actual:
                raise form.BadForm(f"The {field} does not fit the file.")
    return StoredFile(
        package=name,
        version=str(version),
        filename=arrived.filename,
        size=arrived.size,
        sha256=sha256,
        md5=md5,
        requires_python=fields.get("requires_python", ""),
        created=cloud.clock(),
    )


# What comes out


def _visible(cloud: Cloud, repository: Repository) -> list[StoredFile]:
    latest = cloud.clock() - cloud.switches.index_delay
    return [stored for stored in cloud.store.files(repository) if stored.created <= latest]


def _wants_json(cloud: Cloud, request: Request) -> bool:
    return cloud.switches.json_index and JSON_TYPE in request.headers.get("accept", "")


def _address(request: Request, repository: Repository) -> str:
    return f"{str(request.base_url).rstrip('/')}/{repository.project}/{repository.name}"


def _url(request: Request, repository: Repository, stored: StoredFile) -> str:
    return f"{_address(request, repository)}/{stored.package}/{quote(stored.filename)}"


def _link(cloud: Cloud, request: Request, repository: Repository, stored: StoredFile) -> str:
    href = html.escape(f"{_url(request, repository, stored)}#sha256={stored.sha256}")
    needs = (
        f' data-requires-python="{html.escape(stored.requires_python)}"'
        if stored.requires_python and cloud.switches.requires_python
        else ""
    )
    return f'<a href="{href}"{needs}>{html.escape(stored.filename)}</a>'


def _page(title: str, links: list[str]) -> Response:
    body = "".join(f"    {link}<br/>\n" for link in links)
    return HTMLResponse(
        f"<!DOCTYPE html>\n<html>\n  <head><title>{title}</title></head>\n"
        f"  <body>\n    <h1>{title}</h1>\n{body}  </body>\n</html>\n"
    )


def _json_page(cloud: Cloud, request: Request, repository: Repository, files: list[StoredFile]) -> dict[str, Any]:
    entries = []
    for stored in files:
        entry: dict[str, Any] = {
            "filename": stored.filename,
            "url": _url(request, repository, stored),
            "hashes": {"sha256": stored.sha256},
            "size": stored.size,
        }
        if stored.requires_python and cloud.switches.requires_python:
            entry["requires-python"] = stored.requires_python
        entries.append(entry)
    return {"meta": {"api-version": "1.0"}, "name": files[0].package, "files": entries}
