"""Downloads, which are redirected to a long address on the same host."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from gar_emulator.cloud.cloud import Cloud
from gar_emulator.cloud.refusals import text
from gar_emulator.world.world import Repository

ROOT = "/artifacts-downloads/"


def route(cloud: Cloud) -> Route:
    """Return the route of the address that downloads are redirected to."""

    async def answer(request: Request) -> Response:
        if not cloud.switches.open_downloads and "authorization" not in request.headers:
            raise text(401, "The request does not have valid authentication credentials.")
        file = file_at(cloud, request.url.path)
        if not file:
            raise text(403, "The caller does not have permission.")
        path = cloud.data / file
        if not path.is_file():
            raise text(404, "Requested entity was not found.")
        return _contents(path)

    return Route(f"{ROOT}namespaces/{{project}}/repositories/{{repository}}/downloads/{{token}}", answer)


def file_at(cloud: Cloud, path: str) -> str:
    """Return the file of such an address, relative to the data folder; empty if its token is not valid."""
    return cloud.keys.read_download_token(path.rpartition("/")[2])


def download(request: Request, cloud: Cloud, repository: Repository, path: Path) -> Response:
    """Return the answer to a request for a file of a repository."""
    length = cloud.switches.redirect_length
    if not length:
        return _contents(path)
    if request.method == "HEAD" and not cloud.switches.head_redirects:
        return Response(headers={"Content-Length": str(path.stat().st_size)}, media_type="application/octet-stream")
    start = f"{ROOT}namespaces/{repository.project}/repositories/{repository.name}/downloads/"
    token = cloud.keys.download_token(str(path.relative_to(cloud.data)), length - len(start))
    address = f"{request.scope['root_path']}{start}{token}"
    return HTMLResponse(f'<a href="{address}">Temporary Redirect</a>.\n', 307, {"Location": address})


def _contents(path: Path) -> Response:
    return FileResponse(path, media_type="application/octet-stream")
