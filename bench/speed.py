"""Compare gar-publish with its peers on the same projects: `make bench`.

The command prints the table of targets, and writes `bench/results.json`, `docs/benchmarks.md` and its chart.
"""

import argparse
import re
import sys
import tempfile
import zipfile
from io import BytesIO
from pathlib import Path

from bench import document, rows
from bench.containers import Containers
from bench.measure import Bench
from bench.rows import Measured
from bench.stage import Stage
from bench.tools import Tools

PARTS = ("small", "workspace", "scale", "containers")
COUNT = 50
COUNTS = (1, 10, 50, 100, 200)
ROUNDS = 5
MANY_ROUNDS = 3


def main() -> int:
    """Measure, and write the results.

    Returns:
        0, even if a target is not met; the table shows that.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", choices=PARTS, action="append", help="measure these parts, and write nothing")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="gar-publish-bench-", ignore_cleanup_errors=True) as scratch,
        Stage(Path(scratch)) as stage,
    ):
        of = measure(stage, options.rounds, options.only or PARTS)
        generators = _generators(stage)
    made = list(rows.rows(of))
    written = document.as_markdown(made, of, generators)
    print(written)
    if not options.only:
        rows.write(made)
        document.DOCUMENT.write_text(
            document.filled(document.DOCUMENT.read_text(encoding="utf-8"), written), encoding="utf-8"
        )
        document.CHART.write_text(document.chart(of), encoding="utf-8")
    return 0


def measure(stage: Stage, rounds: int, parts: "tuple[str, ...] | list[str]") -> Measured:
    """Measure some parts."""
    tools, bench, of = Tools(stage), Bench(stage.folder / "runs", lambda line: print(line, file=sys.stderr)), Measured()
    if "small" in parts:
        of.small = bench.run(tools.small(), rounds)
    if "workspace" in parts:
        of.workspace = bench.run(tools.workspace(COUNT), min(rounds, MANY_ROUNDS))
        of.environment_made = tools.untouched.exists()
    if "scale" in parts:
        of.scale = bench.run(tools.scale(COUNTS), min(rounds, MANY_ROUNDS))
    if "containers" in parts:
        containers = Containers(tools)
        try:
            containers.make()
            of.containers = bench.run(containers.cases(), rounds)
            of.size = containers.size()
        except RuntimeError as error:
            of.missing = str(error)
    of.failed = bench.failed
    return of


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
