"""The emulator as a context manager."""

import asyncio
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from gar_emulator.cloud.cloud import Cloud
from gar_emulator.cloud.package_store import StoredFile
from gar_emulator.errors import EmulatorError
from gar_emulator.faults.faults import Faults
from gar_emulator.server.app import App, Seen
from gar_emulator.server.connections import Server, close, listen
from gar_emulator.server.tls import make_context, write_bundle
from gar_emulator.tokens import github, oauth
from gar_emulator.world.fault import Fault
from gar_emulator.world.iam import CLOUD_PLATFORM
from gar_emulator.world.world import Repository, World

START_TIMEOUT = 30
#: The services for which gcloud uses the emulator.
OVERRIDDEN = ("artifactregistry", "cloudresourcemanager", "iam", "serviceusage")
#: The variables from which programs take trusted certificates.
TRUSTED = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE")


class Emulator:
    """A local Google, served by a thread of this process until the context ends.

    Args:
        world: The declared world; None = the default world.
        data: The folder for packages, keys and certificates. Its existing contents are served again.
        port: The port to listen on; 0 = any free one.
        host: The address, or addresses, to listen on.
        tls: Whether to serve HTTPS on `port`, with a certificate for every Google host. The metadata server, which no
            client calls over TLS, is then on `plain_port`.
        plain_port: With `tls`, the port for plain HTTP; 0 = any free one.
        production_names: With `tls`, whether `job()` and `exports()` use Google's host names instead of the emulator's
            address. The client must then resolve these names to the emulator.
        clock: Seconds since the epoch.
        seed: Makes faults with a `chance` strike the same requests in every run.

    Attributes:
        url: The address, after the start: `http://127.0.0.1:PORT`.
        plain_url: The address for plain HTTP; the same as `url` without `tls`.
        cloud: The state of the emulated Google.
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
        self._hosts = [host] if isinstance(host, str) else list(host)
        self._app = App(self.cloud, self._faults, self._refuse, self._hosts)
        self._port = port
        self._plain_port = plain_port
        self._tls = tls
        self._production_names = production_names
        self._servers: list[Server] = []
        self._thread: threading.Thread | None = None

    # Start and stop

    def __enter__(self) -> Self:
        context = make_context(self.data, self._hosts) if self._tls else None
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

    def __exit__(self, *_: object) -> None:
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

    # Clients

    @property
    def ca_file(self) -> Path:
        """Return the certificate of the emulator's authority (with `tls`)."""
        return self.data / "ca.pem"

    def address(self, host: str) -> str:
        """Return the base URL of an emulated host, without a trailing slash."""
        return f"https://{host}" if self._production_names else f"{self.url}/{host}"

    def job(self, **claims: str) -> dict[str, str]:
        """Return the OIDC variables of a workflow job; `claims` (repository, ref, …) replace the defaults."""
        return {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.address(github.HOST)}{github.REQUEST_PATH}?{github.REQUEST_QUERY}",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": self.cloud.keys.request_token(claims),
        }

    def exports(self) -> dict[str, str]:
        """Return the variables that connect a shell, a container or act to the emulator."""
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
            bundle = str(write_bundle(self.data, ssl.get_default_verify_paths().cafile))
            variables.update(dict.fromkeys(TRUSTED, bundle))
        return variables

    def gcloud(self) -> dict[str, str]:
        """Return the variables that log gcloud in as the world's account for it; none without one."""
        login = self.cloud.world.gcloud
        if not login:
            return {}
        return {
            "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(self.cloud.keys.access_token_file(login.account)),
            "CLOUDSDK_CORE_PROJECT": login.account.partition("@")[2].partition(".")[0],
        }

    def access_token(
        self,
        principal: str,
        *,
        scopes: Iterable[str] = (CLOUD_PLATFORM,),
        lifetime: float = 3600,
        attributes: Mapping[str, Any] | None = None,
    ) -> str:
        """Return a token of an account (its e-mail address), `user:EMAIL` or `principal://…` (with its attributes)."""
        if ":" not in principal:
            principal = f"serviceAccount:{principal}"
        return self.cloud.keys.access_token(principal, frozenset(scopes), lifetime, attributes)

    def key(self, account: str) -> dict[str, str]:
        """Return the JSON key of an account; its file is `key_file(account)`."""
        return self.cloud.keys.account_key(account)

    def key_file(self, account: str) -> Path:
        self.cloud.keys.account_key(account)
        return self.cloud.keys.account_key_file(account)

    def login(self, user: str, **more: str) -> dict[str, str]:
        """Return the file of `gcloud auth application-default login` of a user, with more fields (quota_project_id)."""
        return {
            "type": "authorized_user",
            "client_id": oauth.GCLOUD_CLIENT,
            "client_secret": "no-secret",
            "refresh_token": self.cloud.keys.refresh_token(user),
            **more,
        }

    # Faults

    def inject(self, *faults: Fault) -> None:
        """Replace all faults with these, and start counting again."""
        self._faults.replace(faults)

    @property
    def struck(self) -> dict[Fault, int]:
        """Return how often each active fault has struck."""
        counts: Counter[Fault] = Counter()
        for fault, times in self._faults.struck:
            counts[fault] += times
        return dict(counts)

    async def _refuse(self, seconds: float) -> None:
        for server in self._servers:
            await server.refuse(seconds)

    # Requests and files

    @property
    def requests(self) -> list[Seen]:
        """Return the latest requests, oldest first."""
        return list(self._app.requests)

    def files(self, repository: str = "us-central1/demo-project/python") -> list[StoredFile]:
        """Return the files of a repository (`LOCATION/PROJECT/NAME`)."""
        return self.cloud.store.files(_named(repository))

    def read(self, filename: str, repository: str = "us-central1/demo-project/python") -> bytes:
        """Return the contents of a file.

        Raises:
            FileNotFoundError: The repository does not have the file.
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
