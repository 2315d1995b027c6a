"""The emulator as a running server."""

import asyncio
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gar_emulator.cloud.cloud import Cloud
from gar_emulator.cloud.package_store import StoredFile
from gar_emulator.errors import EmulatorError
from gar_emulator.faults.faults import Faults
from gar_emulator.server.app import App, Seen
from gar_emulator.server.connections import Server, close, listen
from gar_emulator.tokens import github
from gar_emulator.world.fault import Fault
from gar_emulator.world.iam import CLOUD_PLATFORM
from gar_emulator.world.world import Repository, World

START_TIMEOUT = 30
#: What gcloud is sent to the emulator for.
OVERRIDDEN = ("artifactregistry", "cloudresourcemanager", "iam", "serviceusage")


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
        seed: Makes the faults that strike by chance the same in every run.

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
        seed: int | None = None,
    ) -> None:
        self.data = data
        self.cloud = Cloud(world or World.default(), data, clock)
        self._faults = Faults(self.cloud.world.faults, seed)
        self.url = ""
        self.plain_url = ""
        self._app = App(self.cloud, self._faults, self._refuse)
        self._hosts = [host] if isinstance(host, str) else list(host)
        self._port = port
        self._plain_port = plain_port
        self._tls = tls
        self._production_names = production_names
        self._servers: list[Server] = []
        self._thread: threading.Thread | None = None

    # Start and stop

    def __enter__(self) -> Self:
        context = self._context() if self._tls else None
        main, port = listen(self._hosts, self._port)
        scheme = "https" if context else "http"
        self.url = self.plain_url = f"{scheme}://{_bracketed(self._hosts[0])}:{port}"
        clock = self.cloud.true_clock
        self._servers = [Server(self._app, main, context, clock)]
        if context:
            try:
                plain, plain_port = listen(self._hosts, self._plain_port)
            except EmulatorError:
                close(main)
                raise
            self.plain_url = f"http://{_bracketed(self._hosts[0])}:{plain_port}"
            self._servers.append(Server(self._app, plain, None, clock))
        self._thread = threading.Thread(target=self._run, name="emulator")
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

    def _run(self) -> None:
        async def serve() -> None:
            await asyncio.gather(*(server.run_until_stopped() for server in self._servers))

        asyncio.run(serve())

    def _stop(self) -> None:
        for server in self._servers:
            server.stop()
        if self._thread:
            self._thread.join()

    def _context(self) -> ssl.SSLContext:
        from gar_emulator.server import tls  # for --tls alone

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
            for service in OVERRIDDEN:
                address = self.address(f"{service}.googleapis.com")
                variables[f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{service.upper()}"] = f"{address}/"
        if self.cloud.world.ambient:
            variables.update(GCE_METADATA_HOST=plain, GCE_METADATA_IP=plain, GCE_METADATA_ROOT=plain)
        if self._tls:
            variables.update(self._trust())
        return variables

    def _trust(self) -> dict[str, str]:
        from gar_emulator.server import tls  # for --tls alone

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

    # What goes wrong

    def inject(self, *faults: Fault) -> None:
        """Put these faults in force, in place of all others; none ends them all. Counting starts here."""
        self._faults.replace(faults)

    @property
    def struck(self) -> dict[Fault, int]:
        """How often each fault that is in force has struck."""
        counts: Counter[Fault] = Counter()
        for fault, times in self._faults.struck:
            counts[fault] += times
        return dict(counts)

    async def _refuse(self, seconds: float) -> None:
        for server in self._servers:
            await server.refuse(seconds)

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


def _bracketed(host: str) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - an address to listen on, to reach it
    return f"[{host}]" if ":" in host else host
