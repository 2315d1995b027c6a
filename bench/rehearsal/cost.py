"""How much longer publishing 50 packages without dependencies takes with a rehearsal, with one Python."""

import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.measure import Bench, Case, Command
from bench.publisher import COMMAND, DIRECT, process_environment
from bench.rehearsal.planted import HERE
from gar_emulator import Emulator
from tests.wheels import make_wheel

PACKAGES = 50
ALLOWED = 0.12
"""Seconds per package."""

_WITHOUT, _WITH = "publish --dist", "publish --dist --rehearse"


def measure(folder: Path, rounds: int) -> int:
    """Publish 50 wheels with and without a rehearsal, in alternating order, and print the median of the differences.

    Returns:
        1 if a package takes longer than allowed, or a run failed.
    """
    (folder / "tmp").mkdir()
    with Emulator(data=folder / "emulator") as emulator:
        environment = process_environment(emulator, folder / "tmp")

        def case(name: str, *options: str) -> Case:
            def prepare(folder: Path, number: int) -> Mapping[str, Sequence[Command]]:
                for each in range(PACKAGES):
                    make_wheel(folder / "dist", f"part-{each}", f"{number}.0")
                return {name: [Command([*COMMAND, *DIRECT, "--dist", "dist", *options], folder, environment)]}

            def check(number: int) -> None:
                found = sum(each.version == f"{number}.0" for each in emulator.files())
                if found < PACKAGES:
                    raise RuntimeError(f"{found} of {PACKAGES} files were uploaded")

            return Case(name, prepare, check)

        bench = Bench(folder / "runs", lambda line: print(line, file=sys.stderr))
        cases = [case(_WITHOUT), case(_WITH, "--rehearse", "--rehearse-python", HERE)]
        found = bench.run(cases, rounds)
    if bench.failed:
        return 1
    without, rehearsed = (found[name].seconds for name in (_WITHOUT, _WITH))
    more = [(two - one) / PACKAGES for one, two in zip(without, rehearsed, strict=True)]
    print(
        f"{PACKAGES} packages: {statistics.median(without):.2f} s, and {statistics.median(rehearsed):.2f} s with a "
        f"rehearsal: {statistics.median(more):.3f} s more per package ({min(more):.3f} to {max(more):.3f}, "
        f"{rounds} rounds)"
    )
    return int(statistics.median(more) > ALLOWED)
