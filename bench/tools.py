"""The commands to build and publish with gar-publish and its peers, and the projects to publish."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import projects
from bench.measure import Case, Command
from bench.publisher import DIRECT, REPOSITORY
from bench.stage import OURS, PEERS, USER, Stage

OURSELVES = "gar-publish"
AGAIN = "gar-publish, again with nothing new"
TWINE = "build + twine"
UV = "uv build + uv publish"
UV_ALL = "uv build --all-packages + one uv publish"
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
        }

    # The work

    def small(self) -> list[Case]:
        """Return the cases for one small package of each backend, with each tool that can publish it."""
        every = {OURSELVES: self.ours, TWINE: self.twine, "build --installer uv + twine": self.twine_uv, UV: self.uv}
        kinds: dict[str, dict[str, Type]] = {
            "hatchling": {**every, "hatch build + hatch publish": self.hatch},
            "setuptools": {**every},
            "flit": {**every, "flit publish": self.flit},
            "poetry": {**every, "poetry build + poetry publish": self.poetry},
        }
        return [
            self._small(backend, f"{backend}: {name}", typed)
            for backend, tools in kinds.items()
            for name, typed in tools.items()
        ]

    def _small(self, backend: str, name: str, typed: Type) -> Case:
        package = f"small-{backend}"

        def prepare(folder: Path, number: int) -> Mapping[str, Sequence[Command]]:
            return {name: typed(projects.write(folder / package, package, f"1.{number}", backend))}

        return Case(name, prepare, lambda number: self.check([package], number))

    def workspace(self, count: int) -> list[Case]:
        """Return the cases for a workspace of hatchling packages: gar-publish twice, and the peers."""

        def loop(typed: Type) -> Type:
            return lambda folder: [each for part in sorted(folder.glob("packages/*")) for each in typed(part)]

        def case(typed: Mapping[str, Type], rounds: int | None = None) -> Case:
            def prepare(folder: Path, number: int) -> Mapping[str, Sequence[Command]]:
                projects.write_workspace(folder, count, f"1.{number}")
                return {name: commands(folder) for name, commands in typed.items()}

            names = [projects.part(number) for number in range(count)]
            return Case(next(iter(typed)), prepare, lambda number: self.check(names, number), rounds, warm=not rounds)

        again = ("--if-exists", "skip", "packages/*")
        return [
            case(
                {
                    OURSELVES: lambda folder: self.ours(folder, "packages/*"),
                    AGAIN: lambda folder: self.ours(folder, *again, UV_CACHE_DIR=str(self.untouched)),
                }
            ),
            case({UV_ALL: lambda folder: self.uv(folder, "--all-packages")}, 3),
            case({f"loop of {UV}": loop(lambda part: self.uv(part, "--out-dir", "dist"))}, 1),
            case({LOOP: loop(self.twine)}, 1),
            case({"loop of build --installer uv + twine": loop(self.twine_uv)}, 1),
        ]

    def scale(self, counts: Iterable[int]) -> list[Case]:
        """Return the cases for gar-publish with workspaces of several sizes."""

        def case(count: int) -> Case:
            def prepare(folder: Path, number: int) -> Mapping[str, Sequence[Command]]:
                projects.write_workspace(folder, count, f"1.{number}")
                return {str(count): self.ours(folder, "packages/*")}

            names = [projects.part(number) for number in range(count)]
            return Case(str(count), prepare, lambda number: self.check(names, number))

        return [case(count) for count in counts]

    @property
    def untouched(self) -> Path:
        """Return the path of a uv cache. It exists only if uv ran although there was nothing to build."""
        return self.stage.folder / "untouched"

    def check(self, names: Iterable[str], number: int) -> None:
        if missing := set(names) - self.stage.stored(f"1.{number}"):
            raise RuntimeError(f"not uploaded: {sorted(missing)}")
