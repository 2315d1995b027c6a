"""The place of the measurements: a distant emulator with TLS, and the environment of a runner."""

import os
import re
import ssl
import sys
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from bench.link import FAR, Link
from bench.publisher import PUBLISHER, REPOSITORY
from gar_emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parent.parent
PEERS = ROOT / ".venv-bench" / "bin"
OURS = Path(sys.executable).parent

USER = "oauth2accesstoken"
_PASSED_ON = re.compile(
    r"LANG | (HTTP|HTTPS|ALL)_PROXY | (PIP|UV)_(DEFAULT_INDEX|INDEX|INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|CONFIG_FILE)",
    re.VERBOSE | re.IGNORECASE,
)
"""The variables of this machine that programs get: locale, proxies and package indexes."""

SETTINGS = (".netrc", ".pip", ".config/pip", ".config/uv")
"""The files of this machine that programs get in their home: those with package indexes."""


class Stage:
    """The servers, and the settings that programs need to connect to them, while the context is open.

    Args:
        folder: The folder for all files, caches included.
        round_trip: The seconds of a round trip to the emulator.

    Attributes:
        environment: The environment of every program.
        job: Variables for gar-publish: the emulator's address, and the identity of a workflow's job.
        upload_url: The URL that the peers upload to.
        token: The token of the peers.
        bundle: The certificate authorities of this machine and of the emulator.
    """

    def __init__(self, folder: Path, round_trip: float = FAR) -> None:
        self.folder = folder
        self.emulator = Emulator(data=folder / "emulator", tls=True)
        self.environment: Mapping[str, str] = {}
        self.job: Mapping[str, str] = {}
        self.upload_url = ""
        self.token = ""
        self.bundle = folder / "bundle.pem"
        self._round_trip = round_trip
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            emulator = stack.enter_context(self.emulator)
            link = stack.enter_context(Link(int(emulator.url.rpartition(":")[2]), self._round_trip))
            self._stack = stack.pop_all()
        far = f"https://127.0.0.1:{link.port}"
        names = ("GAR_EMULATOR_HOST", "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")
        exports = emulator.exports()
        self.job = {name: exports[name].replace(emulator.url, far) for name in names}
        location, project, name = REPOSITORY.split("/")
        self.upload_url = f"{far}/{location}-python.pkg.dev/{project}/{name}/"
        self.token = emulator.access_token(PUBLISHER)
        usual = ssl.get_default_verify_paths().cafile
        self.bundle.write_bytes((Path(usual).read_bytes() if usual else b"") + b"\n" + emulator.ca_file.read_bytes())
        self.environment = self._environment()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def stored(self, version: str) -> set[str]:
        """Return the packages that the emulator has in this version."""
        return {stored.package for stored in self.emulator.files() if f"-{version}-" in stored.filename}

    def _environment(self) -> dict[str, str]:
        home, temporary = self.folder / "home", self.folder / "tmp"
        temporary.mkdir()
        for name in SETTINGS:
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            if (Path.home() / name).exists():
                (home / name).symlink_to(Path.home() / name)
        trust = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
        return {
            **{name: value for name, value in os.environ.items() if _PASSED_ON.fullmatch(name)},
            **dict.fromkeys(trust, str(self.bundle)),
            "PATH": os.pathsep.join([str(PEERS), os.defpath]),
            "HOME": str(home),
            "TMPDIR": str(temporary),
            "NO_PROXY": f"{os.environ.get('NO_PROXY', '')},127.0.0.1".lstrip(","),
            "PIP_CACHE_DIR": str(self.folder / "pip-cache"),
            "UV_CACHE_DIR": str(self.folder / "uv-cache"),
        }
