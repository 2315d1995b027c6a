"""The commands to build and publish with gar-publish and its peers."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Command
from bench.publisher import DIRECT, REPOSITORY
from bench.stage import OURS, PEERS, USER, Stage

OURSELVES = "gar-publish"
AGAIN = "gar-publish, again with nothing new"
TWINE = "build + twine"
UV = "uv build + uv publish"
TWINE_UV = "build --installer uv + twine"
HATCH = "hatch build + hatch publish"
FLIT = "flit publish"
POETRY = "poetry build + poetry publish"
PDM = "pdm build + pdm publish"
UV_ALL = "uv build --all-packages + one uv publish"
UV_EACH = "loop of uv build + one uv publish"
LOOP = f"loop of {TWINE}"

Type = Callable[[Path], list[Command]]
"""A function that returns the commands for a project's folder."""


@dataclass(frozen=True)
class Tools:
    """The commands of each tool.

    Args:
        stage: The place where they run.
    """

    stage: Stage

    def ours(self, folder: Path, *arguments: str, **variables: str) -> list[Command]:
        """Return the command of gar-publish: credentials, build, upload and read-back."""
        command = [str(OURS / "gar-publish"), "publish", "--repository", REPOSITORY, *DIRECT, *arguments]
        return [Command(command, folder, {**self.stage.environment, **self.stage.job, **variables})]

    def twine(self, folder: Path, *build: str) -> list[Command]:
        upload = ("twine", "upload", "--repository-url", self.stage.upload_url, "dist/*")
        return [self._peer(folder, "python", "-m", "build", "--wheel", *build), self._peer(folder, *upload)]

    def twine_uv(self, folder: Path) -> list[Command]:
        return self.twine(folder, "--installer", "uv")

    def uv(self, folder: Path, *build: str) -> list[Command]:
        return [self._peer(folder, "uv", "build", "--wheel", *build), self._peer(folder, "uv", "publish")]

    def hatch(self, folder: Path) -> list[Command]:
        return [self._peer(folder, "hatch", "build", "-t", "wheel"), self._peer(folder, "hatch", "publish")]

    def flit(self, folder: Path) -> list[Command]:
        return [self._peer(folder, "flit", "publish", "--format", "wheel")]

    def poetry(self, folder: Path) -> list[Command]:
        build = ("poetry", "build", "--format", "wheel")
        return [self._peer(folder, *build), self._peer(folder, "poetry", "publish", "--repository", "gar")]

    def pdm(self, folder: Path) -> list[Command]:
        return [self._peer(folder, "pdm", "build", "--no-sdist"), self._peer(folder, "pdm", "publish", "--no-build")]

    def _peer(self, folder: Path, program: str, *arguments: str) -> Command:
        environment = {**self.stage.environment, **self.peer_login()}
        return Command([str(PEERS / program), *arguments], folder, environment)

    def peer_login(self) -> dict[str, str]:
        """Return the peers' variables for the registry, the token, and their caches."""
        url, token, folder = self.stage.upload_url, self.stage.token, self.stage.folder
        return {
            "TWINE_USERNAME": USER,
            "TWINE_PASSWORD": token,
            "UV_PUBLISH_URL": url,
            "UV_PUBLISH_USERNAME": USER,
            "UV_PUBLISH_PASSWORD": token,
            "HATCH_INDEX_REPO": url,
            "HATCH_INDEX_USER": USER,
            "HATCH_INDEX_AUTH": token,
            "HATCH_DATA_DIR": f"{folder}/hatch",
            "HATCH_CACHE_DIR": f"{folder}/hatch-cache",
            "FLIT_INDEX_URL": url,
            "FLIT_USERNAME": USER,
            "FLIT_PASSWORD": token,
            "POETRY_REPOSITORIES_GAR_URL": url,
            "POETRY_HTTP_BASIC_GAR_USERNAME": USER,
            "POETRY_HTTP_BASIC_GAR_PASSWORD": token,
            "POETRY_CACHE_DIR": f"{folder}/poetry",
            "PDM_PUBLISH_REPO": url,
            "PDM_PUBLISH_USERNAME": USER,
            "PDM_PUBLISH_PASSWORD": token,
            "PDM_PUBLISH_CA_CERTS": str(self.stage.bundle),
            "PDM_CACHE_DIR": f"{folder}/pdm",
            "PDM_CHECK_UPDATE": "false",
        }

    @property
    def untouched(self) -> Path:
        """Return the path of a uv cache. It exists only if uv ran although there was nothing to build."""
        return self.stage.folder / "untouched"

    def check(self, names: Iterable[str], number: int) -> None:
        """Raise a RuntimeError if a package was not uploaded in the version `1.NUMBER`."""
        if missing := set(names) - self.stage.stored(f"1.{number}"):
            raise RuntimeError(f"not uploaded: {sorted(missing)}")
