"""Compare gar-publish with its peers on the same projects: `make bench`.

The command prints the table of targets, and writes `bench/results.json`, `docs/benchmarks.md` and its charts.
"""

import argparse
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from io import BytesIO
from pathlib import Path

from bench import document, link, many, measured, rows, sizes, small
from bench.containers import Containers
from bench.measure import Bench, Case
from bench.measured import Measured
from bench.real import AS_USER, IN_IMAGE, KNOWN, PLACES, Real
from bench.stage import Stage
from bench.tools import Tools
from gar_publish.errors import Failure

PARTS = ("near", "small", "workspace", "scale", "sizes", "containers", "real")
ROUNDS = 5
FEW_ROUNDS = 3


def main() -> int:
    """Measure, and write the results.

    Returns:
        0, even if a target is not met; the table shows that.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", choices=PARTS, action="append", help="measure these parts, and write nothing")
    parser.add_argument(
        "--repository",
        type=_folder,
        action="append",
        default=[],
        metavar="FOLDER",
        help="the checkout of a real repository, in a folder with the repository's name",
    )
    options = parser.parse_args()
    parts = options.only or PARTS
    of, generators = Measured(), set()
    with tempfile.TemporaryDirectory(prefix="gar-publish-bench-", ignore_cleanup_errors=True) as scratch:
        Path(scratch).chmod(0o711)  # builds of root run as other users, with a Python in there
        for part, round_trip in (("near", link.NEAR), ("far", link.FAR)):
            folder = Path(scratch) / part
            folder.mkdir()
            with Stage(folder, round_trip) as stage:
                run = Run(stage, of, options.rounds)
                if part == "far":
                    run.far(parts, options.repository)
                elif part in parts:
                    run.table(measured.NEAR, small.near(run.tools), options.rounds)
                generators |= _generators(stage)
    made = list(rows.rows(of))
    print(document.as_markdown(made, of, generators))
    if not options.only:
        rows.write(made)
        document.write(made, of, generators)
    return 0


def _folder(text: str) -> Path:
    folder = Path(text).resolve()
    if not folder.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is not a folder")
    return folder


class Run:
    """Measures on one stage.

    Args:
        stage: The place.
        of: Gets the measurements.
        rounds: The number of rounds; fewer for work that takes long.
    """

    def __init__(self, stage: Stage, of: Measured, rounds: int) -> None:
        self.tools = Tools(stage)
        self._of = of
        self._rounds = rounds
        self._few = min(rounds, FEW_ROUNDS)
        self._folder = stage.folder
        self._bench = Bench(stage.folder / "runs", lambda line: print(line, file=sys.stderr))
        self._containers = Containers(self.tools)

    def table(self, title: str, cases: Iterable[Case], rounds: int) -> None:
        """Measure the cases of a table; further cases of a table that exists are added."""
        before = len(self._bench.failed)
        found = self._bench.run([*cases], rounds)
        self._of.tables[title] = {**self._of.tables.get(title, {}), **found}
        self._of.failed[title] = [*self._of.failed.get(title, []), *self._bench.failed[before:]]

    def far(self, parts: Sequence[str], repositories: Sequence[Path]) -> None:
        """Measure everything that needs a server far away."""
        measuring: Mapping[str, Callable[[], None]] = {
            "small": lambda: self.table(measured.FAR, small.far(self.tools), self._rounds),
            "workspace": self._workspace,
            "scale": lambda: self.table(measured.SCALE, many.scale(self.tools), self._few),
            "sizes": self._sizes,
            "containers": self._in_containers,
            "real": lambda: self._repositories(repositories),
        }
        for part, measure in measuring.items():
            if part in parts:
                measure()

    def _workspace(self) -> None:
        self.table(measured.FIFTY, many.workspace(self.tools), self._few)
        self._of.environment_made = self.tools.untouched.exists()

    @cached_property
    def _no_containers(self) -> str:
        """Why the images cannot be made; they are, unless there is a reason."""
        try:
            self._containers.make()
        except RuntimeError as error:
            return str(error)
        return ""

    def _sizes(self) -> None:
        folder = self._folder / "sizes"
        self.table(measured.SIZES, sizes.as_commands(self.tools, folder), self._few)
        shutil.rmtree(folder, ignore_errors=True)

    def _in_containers(self) -> None:
        if why := self._no_containers:
            self._of.missing |= dict.fromkeys(measured.IN_CONTAINERS, why)
            return
        self.table(measured.SMALL_IN_CONTAINERS, small.in_containers(self._containers), self._rounds)
        self.table(measured.FIFTY_IN_CONTAINERS, many.in_containers(self._containers), self._few)
        self.table(measured.START, self._containers.start(), self._rounds)
        folder = self._folder / "sizes-in-containers"
        self.table(measured.SIZES_IN_CONTAINERS, sizes.in_containers(self._containers, folder), self._few)
        shutil.rmtree(folder, ignore_errors=True)
        try:
            self._of.size = self._containers.size()
        except RuntimeError as error:
            self._of.missing[measured.IMAGE_SIZE] = str(error)

    def _repositories(self, folders: Sequence[Path]) -> None:
        missing = {*KNOWN} - {folder.name for folder in folders}
        self._of.missing |= dict.fromkeys(sorted(missing), "no folder was given with --repository")
        for folder in folders:
            try:
                self._repository(Real(self._containers, folder))
            except Failure as error:
                self._of.missing[folder.name] = str(error)

    def _repository(self, repository: Real) -> None:
        name = repository.root.name
        self._of.packages[name] = len(repository.labels)
        missing = []
        for place in PLACES.get(name, (AS_USER,)):
            why = self._no_containers if place == IN_IMAGE else ""
            try:
                cases = [] if why else [*repository.cases(place)]
            except RuntimeError as error:
                cases, why = [], str(error)
            if why:
                missing.append(f"{place}: {why}")
            self.table(name, cases, self._few)
        self.table(name, [repository.loop()], 1)
        if missing:
            self._of.missing[name] = "; ".join(missing)


def _generators(stage: Stage) -> set[str]:
    """Return the generators that the uploaded wheels name."""
    found = set()
    for stored in stage.emulator.files():
        with zipfile.ZipFile(BytesIO(stage.emulator.read(stored.filename))) as wheel:
            about = next(name for name in wheel.namelist() if name.endswith(".dist-info/WHEEL"))
            found.update(re.findall(r"^Generator: (.+?)\s*$", wheel.read(about).decode(), re.MULTILINE))
    return found


if __name__ == "__main__":
    sys.exit(main())
