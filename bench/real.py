"""Compare gar-publish with its peers on a real repository: `python -m bench.real --repository FOLDER --rounds 3`.

Each run publishes a copy of the folder to a new repository of the emulator, which is as far away as in `make bench`.
The peers are those of `make .venv-bench/stamp`. Caches are warm. It prints wall time, processor time and memory, and
writes nothing. Who starts it decides whether builds run as root.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

from bench.measure import Bench, Case, Command, Summary
from bench.publisher import DIRECT, PROVIDER, PUBLISHER
from bench.stage import OURS, Stage
from bench.tools import AGAIN, OURSELVES, TWINE, UV_ALL, Tools
from gar_emulator.world.iam import Binding
from gar_emulator.world.world import Repository
from gar_publish.projects import find

UV_EACH = "loop of uv build + one uv publish"
LOOP = f"loop of {TWINE}"
_PLACE = "us-central1/demo-project"
_ROLE = "roles/artifactregistry.writer"
_POOL = f"iam.googleapis.com/{PROVIDER.rpartition('/providers/')[0]}"
_MEMBERS = (f"principalSet://{_POOL}/attribute.repository_owner/octo-org", f"serviceAccount:{PUBLISHER}")

Type = Callable[[Path, str], list[Command]]
"""Returns the commands for a checkout and the name of a repository."""


def main() -> int:
    """Measure, and print a line for each tool.

    Returns:
        1 if a tool failed.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repository", type=Path, required=True, metavar="FOLDER", help="a checkout")
    parser.add_argument("--packages", nargs="+", default=["."], help="its packages, as for gar-publish")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--with", dest="program", type=Path, help="another gar-publish to compare with")
    parser.add_argument("--loops", action="store_true", help=f"also run the {LOOP}, once")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="gar-publish-bench-", ignore_cleanup_errors=True) as scratch,
        Stage(Path(scratch)) as stage,
    ):
        bench = Bench(stage.folder / "runs", lambda line: print(line, file=sys.stderr))
        real = Real(stage, options.repository.resolve(), options.packages)
        found = bench.run([*real.cases(options.program, loops=options.loops)], options.rounds)
    print(f"{len(real.labels)} packages")
    _show(found)
    return int(bool(bench.failed))


@dataclass(frozen=True)
class Real:
    """The cases of a checkout.

    Args:
        stage: The place where they run.
        root: The checkout.
        packages: Its packages, as for gar-publish.
    """

    stage: Stage
    root: Path
    packages: Sequence[str]

    @cached_property
    def labels(self) -> list[str]:
        """The folders of the packages."""
        return [project.label for project in find.find(self.packages, self.root)]

    def cases(self, other: Path | None, *, loops: bool) -> Iterator[Case]:
        """Yield the cases: gar-publish twice, another gar-publish, and the peers."""
        yield self._case({OURSELVES: self._ours, AGAIN: partial(self._ours, more=("--if-exists", "skip"))})
        if other:
            yield self._case({str(other): partial(self._ours, program=other)})
        builds = [["--all-packages"]] if self.packages == ["."] else [[label] for label in self.labels]
        yield self._case({UV_ALL if self.packages == ["."] else UV_EACH: partial(self._uv, builds=builds)})
        if loops:
            yield self._case({LOOP: self._twine}, 1)

    def _ours(
        self, checkout: Path, name: str, *, program: Path = OURS / "gar-publish", more: Sequence[str] = ()
    ) -> list[Command]:
        given = ["publish", "--repository", f"{_PLACE}/{name}", *DIRECT, *more, *self.packages]
        return [Command([str(program), *given], checkout, {**self.stage.environment, **self.stage.job})]

    def _uv(self, checkout: Path, name: str, *, builds: Sequence[Sequence[str]]) -> list[Command]:
        tools = Tools(self.stage)
        commands = [tools.uv(checkout, "--out-dir", str(checkout / "dist"), *build)[0] for build in builds]
        return [self._to(name, each) for each in (*commands, tools.uv(checkout)[1])]

    def _twine(self, checkout: Path, name: str) -> list[Command]:
        return [self._to(name, each) for label in self.labels for each in Tools(self.stage).twine(checkout / label)]

    def _to(self, name: str, command: Command) -> Command:
        """Return a command of a peer that publishes to another repository."""
        url = self.stage.upload_url
        other = f"{url.removesuffix('/').rpartition('/')[0]}/{name}/"
        return replace(
            command,
            arguments=[each.replace(url, other) for each in command.arguments],
            environment={key: value.replace(url, other) for key, value in command.environment.items()},
        )

    def _case(self, typed: Mapping[str, Type], rounds: int | None = None) -> Case:
        def prepare(folder: Path, number: int) -> Mapping[str, Sequence[Command]]:
            repository = Repository("demo-project", "us-central1", f"real-{number}")
            writers = [Binding(member, _ROLE, repository.resource) for member in _MEMBERS]
            self.stage.emulator.cloud.store.create(repository)
            self.stage.emulator.cloud.set_policy(repository.resource, writers)
            shutil.copytree(self.root, folder / self.root.name, symlinks=True)
            return {name: commands(folder / self.root.name, repository.name) for name, commands in typed.items()}

        def check(number: int) -> None:
            stored = {each.package for each in self.stage.emulator.files(f"{_PLACE}/real-{number}")}
            if len(stored) != len(self.labels):
                raise RuntimeError(f"{len(stored)} of {len(self.labels)} packages were uploaded")

        return Case(next(iter(typed)), prepare, check, rounds, warm=not rounds)


def _show(found: Mapping[str, Summary]) -> None:
    ours = found.get(OURSELVES)
    for name, summary in found.items():
        times = " ".join(f"{each:.2f}" for each in summary.seconds)
        memory = f", {summary.memory / 1e6:.0f} MB" if summary.memory else ""
        ratio = ""
        if ours and name == AGAIN:
            ratio = f"; {summary.median / ours.median:.3f} of the first run"
        elif ours and name != OURSELVES:
            ratio = f"; gar-publish takes {ours.median / summary.median:.3f} of that"
        print(f"{name}: {summary.median:.2f} s ({times}), {summary.processor:.2f} s of processors{memory}{ratio}")


if __name__ == "__main__":
    sys.exit(main())
