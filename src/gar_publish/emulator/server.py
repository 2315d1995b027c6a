"""The emulator as a running server."""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import uvicorn

from gar_publish.emulator import github
from gar_publish.emulator.app import App, Seen
from gar_publish.emulator.cloud import Cloud
from gar_publish.emulator.iam import CLOUD_PLATFORM
from gar_publish.emulator.store import StoredFile
from gar_publish.emulator.world import Repository, World
from gar_publish.errors import BadInput

START_TIMEOUT = 30
STOP_TIMEOUT = 2
"""Seconds that running requests have to finish when the emulator stops."""


class Emulator:
    """A local Google, served by a thread of this process for as long as the context lasts.

    Args:
        world: What exists at the start; the default world if None.
        data: The folder for packages, keys and certificates. What is in it already is served again.
        port: The port to listen on; 0 for any free one.
        host: The address, or addresses, to listen on.
        tls: Serve HTTPS on `port`, with a certificate for every Google host; the metadata server, which is never asked
            through TLS, then answers on `plain_port`.
        plain_port: With `tls`, the port for plain HTTP; 0 for any free one.
        production_names: With `tls`, whether `job()` and `exports()` name Google's hosts, which whoever is going to
            use them resolves to the emulator, instead of the emulator's address.
        clock: Seconds since the epoch.

    Attributes:
        url: The address, once it serves: `http://127.0.0.1:PORT`.
        plain_url: The address for plain HTTP; the same as `url` without `tls`.
        cloud: What it holds, for tests that look closer.
    """

    def __init__(
        self,
        world: World | None = None,
        *,
        data: Path,
        port: int = 0,
        host: str | Sequence[str] = "127.0.0.1",
        tls: bool = False,
        plain_port: int = 0,
        production_names: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.data = data
        self.cloud = Cloud(world or World.default(), data, clock)
        self.url = ""
        self.plain_url = ""
        self._app = App(self.cloud)
        self._hosts = [host] if isinstance(host, str) else list(host)
        self._port = port
        self._plain_port = plain_port
        self._tls = tls
        self._production_names = production_names
        self._servers: list[_Server] = []
        self._thread: threading.Thread | None = None

    # Start and stop

    def __enter__(self) -> Self:
        context = self._context() if self._tls else None
        main, port = _listen(self._hosts, self._port)
        scheme = "https" if context else "http"
        self.url = self.plain_url = f"{scheme}://{_bracketed(self._hosts[0])}:{port}"
        listeners: list[tuple[list[socket.socket], ssl.SSLContext | None]] = [(main, context)]
        if context:
            try:
                plain, plain_port = _listen(self._hosts, self._plain_port)
            except BadInput:
                _close(main)
                raise
            self.plain_url = f"http://{_bracketed(self._hosts[0])}:{plain_port}"
            listeners.append((plain, None))
        self._servers = [_server(self._app, tls) for _, tls in listeners]
        self._thread = threading.Thread(target=self._run, args=([item for item, _ in listeners],), name="emulator")
        self._thread.start()
        deadline = time.monotonic() + START_TIMEOUT
        while not all(server.started for server in self._servers):
            if not self._thread.is_alive() or time.monotonic() > deadline:
                self._stop()
                raise RuntimeError("The emulator did not start.")
            time.sleep(0.002)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _run(self, sockets: list[list[socket.socket]]) -> None:
        async def serve() -> None:
            await asyncio.gather(
                *(server.serve(listening) for server, listening in zip(self._servers, sockets, strict=True))
            )

        try:
            asyncio.run(serve())
        finally:
            for listening in sockets:
                _close(listening)

    def _stop(self) -> None:
        for server in self._servers:
            server.stop()
        if self._thread:
            self._thread.join()

    def _context(self) -> ssl.SSLContext:
        from gar_publish.emulator import tls  # for --tls alone

        return tls.make_context(self.data, self._hosts)

    # What connects to it

    @property
    def ca_file(self) -> Path:
        """The certificate of the emulator's own authority (with `tls`)."""
        return self.data / "ca.pem"

    def address(self, host: str) -> str:
        """The base URL under which the emulator serves a host of Google's, without a trailing slash."""
        return f"https://{host}" if self._production_names else f"{self.url}/{host}"

    def job(self, **claims: str) -> dict[str, str]:
        """The OIDC environment of a workflow job; `claims` (repository, ref, environment, …) replace the usual ones."""
        return {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.address(github.HOST)}{github.REQUEST_PATH}?{github.REQUEST_QUERY}",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": self.cloud.keys.request_token(claims),
        }

    def exports(self) -> dict[str, str]:
        """The environment that connects a shell, a container or act to the emulator."""
        plain = self.plain_url.partition("://")[2]
        variables = dict(self.job())
        if not self._production_names:
            variables["GAR_EMULATOR_HOST"] = self.url
            overrides = self.address("artifactregistry.googleapis.com")
            variables["CLOUDSDK_API_ENDPOINT_OVERRIDES_ARTIFACTREGISTRY"] = f"{overrides}/"
        if self.cloud.world.ambient:
            variables.update(GCE_METADATA_HOST=plain, GCE_METADATA_IP=plain, GCE_METADATA_ROOT=plain)
        if self._tls:
            variables.update(self._trust())
        return variables

    def _trust(self) -> dict[str, str]:
        from gar_publish.emulator import tls  # for --tls alone

        bundle = str(tls.write_bundle(self.data, ssl.get_default_verify_paths().cafile))
        names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE")
        return dict.fromkeys(names, bundle)

    def access_token(
        self,
        principal: str,
        *,
        scopes: Iterable[str] = (CLOUD_PLATFORM,),
        lifetime: float = 3600,
        attributes: Mapping[str, Any] | None = None,
    ) -> str:
        """A token for anybody: an account's e-mail address, `user:EMAIL`, or `principal://…` with mapped attributes."""
        if ":" not in principal:
            principal = f"serviceAccount:{principal}"
        return self.cloud.keys.access_token(principal, frozenset(scopes), lifetime, attributes)

    def key(self, account: str) -> dict[str, str]:
        """The JSON key of an account; the file is `key_file(account)`."""
        return self.cloud.keys.account_key(account)

    def key_file(self, account: str) -> Path:
        self.cloud.keys.account_key(account)
        return self.cloud.keys.account_key_file(account)

    # What it saw and holds

    @property
    def requests(self) -> list[Seen]:
        """The last requests, oldest first."""
        return list(self._app.requests)

    def files(self, repository: str = "us-central1/demo-project/python") -> list[StoredFile]:
        """What a repository (`LOCATION/PROJECT/NAME`) holds."""
        return self.cloud.store.files(_named(repository))

    def read(self, filename: str, repository: str = "us-central1/demo-project/python") -> bytes:
        """The bytes of one file.

        Raises:
            FileNotFoundError: The repository does not hold it.
        """
        stored = self.cloud.store.find(_named(repository), filename)
        if stored is None:
            raise FileNotFoundError(filename)
        return self.cloud.store.path(_named(repository), stored).read_bytes()


def _named(repository: str) -> Repository:
    location, project, name = repository.split("/")
    return Repository(project, location, name)


def _listen(hosts: Sequence[str], port: int) -> tuple[list[socket.socket], int]:
    """Sockets for all addresses, on one port."""
    sockets: list[socket.socket] = []
    for host in hosts:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            listening = socket.socket(family, kind, protocol)
            sockets.append(listening)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
        except OSError as error:
            _close(sockets)
            raise BadInput(
                f"The emulator cannot listen on {host}, port {port}: {error.strerror}.",
                fix="choose another port with --port, or 0 for any free one",
                anchor="emulator-port",
            ) from error
        port = listening.getsockname()[1]
    return sockets, port


def _close(sockets: Iterable[socket.socket]) -> None:
    for item in sockets:
        item.close()


def _bracketed(host: str) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - an address to listen on, to reach it
    return f"[{host}]" if ":" in host else host


def _server(app: App, tls: ssl.SSLContext | None) -> "_Server":
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        ssl_context_factory=(lambda *_: tls) if tls else None,
    )
    return _Server(config)


class _Server(uvicorn.Server):
    """uvicorn's server, which stops as soon as it is told to: uvicorn's own looks at the clock ten times a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def stop(self) -> None:
        """Stop from another thread."""
        self.should_exit = True
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stopping.set)

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        if not self.should_exit:
            await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        _close(sockets or [])
        for connection in list(self.server_state.connections):
            connection.shutdown()
        deadline = time.monotonic() + STOP_TIMEOUT
        while (self.server_state.connections or self.server_state.tasks) and time.monotonic() < deadline:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(0.002)
        for task in self.server_state.tasks:
            task.cancel()
