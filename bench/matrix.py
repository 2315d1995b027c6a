"""Publish with every fault at every endpoint, and show the outcomes: `python -m bench.matrix`.

Each cell publishes one wheel in this process, with one fault at one endpoint. Waits move its own
clock, and take almost no real time.
"""

import argparse
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from bench.publisher import Credential, credentials, publish_here
from gar_emulator import Emulator, World
from gar_emulator.cloud.cloud import Cloud
from gar_emulator.world.fault import ENDPOINTS, FAULTS, Fault
from gar_publish.context import RetryPolicy
from gar_publish.errors import Failure
from gar_publish.report.report import Report
from tests.wheels import make_wheel

DOCUMENT = Path(__file__).parent.parent / "docs" / "reliability.md"
THROUGH = "came through"
SENSELESS = "-"
"""The outcome of a fault that the endpoint cannot have: for example, only an index can lag."""

AT_ONCE = 8
SLOW = {"silence", "drip"}
"""The rows that take real time until the timeout."""

EARLY = {"403-closed", "403-reset"}
"""The rows with a file so large that a connection does not take all of it before the answer."""

_LARGE = 1_000_000
_ANSWER_SECONDS = {"silence": 0.4, "drip": 0.4}
_LONG = 10.0
"""How long a publish waits for an answer where no fault is slow: this machine may be."""
TIMES = {"twice": 2, "for ever": 0}
_ONCE = {"token-ended"}
"""The rows of the first table that strike once: the next token of a run does not end at once."""

CELL_SECONDS = 20
RETRY_AFTER = "429 with Retry-After"
ROWS = [row for fault in FAULTS for row in ([fault, RETRY_AFTER] if fault == "429" else [fault])]
_SECONDS = {"refused": 0.005, "drip": 0.02, "lag": 5.0, "skew": 7200.0, RETRY_AFTER: 7.0}
_FOR_EVER = {"lag": 1e6}


@dataclass
class Clock:
    """The clock of both sides: this machine's time plus the time slept, which does not really pass."""

    slept: float = 0.0

    def now(self) -> float:
        return time.time() + self.slept

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        time.sleep(0.01)  # the emulator notices the new time


def tables(folder: Path, rows: Sequence[str] = ROWS) -> tuple[dict[str, dict[str, dict[str, str]]], list[str]]:
    """Return the outcome for each strength, fault and endpoint, and the problems of all cells."""
    Cloud(World.default(), folder)  # makes the keys
    places = list(product(TIMES, rows, ENDPOINTS))
    cells = {
        (strength, row, endpoint): Cell(folder / str(number), folder / "keys", endpoint, row, _times(strength, row))
        for number, (strength, row, endpoint) in enumerate(places)
    }
    with ThreadPoolExecutor(AT_ONCE) as pool:
        slowest_first = sorted(places, key=lambda place: place[1] not in SLOW)
        ended = {place: pool.submit(cells[place].outcome) for place in slowest_first}
    return (
        {
            strength: {row: {each: ended[strength, row, each].result() for each in ENDPOINTS} for row in rows}
            for strength in TIMES
        },
        [problem for cell in cells.values() for problem in cell.wrong],
    )


def _times(strength: str, row: str) -> int:
    return min(TIMES[strength], 1 if row in _ONCE else 2)


@dataclass
class Cell:
    """One fault at one endpoint, with an emulator of its own.

    Attributes:
        folder: The folder for the wheel and the emulator's data.
        keys: The keys of the emulator, made once because that is slow.
        row: One of `ROWS`.
        times: How often the fault occurs; 0 for ever.
        wrong: The problems found.
    """

    folder: Path
    keys: Path
    endpoint: str
    row: str
    times: int
    clock: Clock = field(default_factory=Clock)
    wrong: list[str] = field(default_factory=list)

    def outcome(self) -> str:
        endpoint, row, times = self.endpoint, self.row, self.times
        try:
            seconds = _FOR_EVER.get(row, 0.0) if not times and row in _FOR_EVER else _SECONDS.get(row, 0.0)
            fault = Fault(endpoint, row.partition(" ")[0], times=times, seconds=seconds)
        except ValueError:
            return SENSELESS
        shutil.copytree(self.keys, self.folder / "emulator" / "keys")
        with Emulator(data=self.folder / "emulator", clock=self.clock.now) as emulator:
            return self._outcome(emulator, fault)

    def _outcome(self, emulator: Emulator, injected: Fault) -> str:
        endpoint, row, times = self.endpoint, self.row, self.times
        lines = _LARGE if row in EARLY else 99
        wheel = make_wheel(self.folder / "wheels", f"cell-{endpoint}", content="x = 1\n" * lines)
        name = f"{endpoint}, {row}, {times or 'for ever'}"
        credential = _credential(emulator, endpoint)
        emulator.inject(injected)
        began, slept = time.monotonic(), self.clock.slept
        outcome, claims = self._publish(emulator, credential, wheel, name)
        if row == RETRY_AFTER and self.clock.slept - slept < times * _SECONDS[row] - 0.1:
            self.wrong.append(f"{name}: did not wait as long as the server asked")
        if time.monotonic() - began > CELL_SECONDS:
            self.wrong.append(f"{name}: took {time.monotonic() - began:.0f} s")
        if not sum(emulator.struck.values()):
            self.wrong.append(f"{name}: the fault never occurred")
        emulator.inject()
        self.clock.sleep(_SECONDS["refused"])
        if outcome == THROUGH and not claims:
            self.wrong.append(f"{name}: {outcome}, but the report differs")
        if claims and _stored(emulator, wheel) != wheel.read_bytes():
            self.wrong.append(f"{name}: claims success wrongly")
        again, claims = self._publish(emulator, credential, wheel, f"{name}, again")
        if again != THROUGH or not claims or _stored(emulator, wheel) != wheel.read_bytes():
            self.wrong.append(f"{name}: running the same command again does not help: {again}")
        return outcome

    def _publish(self, emulator: Emulator, credential: Credential, wheel: Path, name: str) -> tuple[str, bool]:
        """Return the outcome, and whether the report says that the registry has the file."""
        retry_policy = RetryPolicy(
            timeouts=(_LONG, _ANSWER_SECONDS.get(self.row, _LONG)), sleep=self.clock.sleep, clock=self.clock.now
        )
        try:
            report = publish_here(emulator, credential, wheel, retry_policy, lambda _: None)
        except Failure as failure:
            return _linked(failure), False
        except Exception as error:  # noqa: BLE001 - any other error is a bug
            self.wrong.append(f"{name}: {error!r}")
            return "bug", False
        return (_linked(report.failure) if report.failure else THROUGH), _claims(report)


def _credential(emulator: Emulator, endpoint: str) -> Credential:
    kinds = credentials(emulator)
    return kinds[{"github": "sts"}.get(endpoint, endpoint if endpoint in kinds else "iamcredentials")]


def _claims(report: Report) -> bool:
    return all(each.status in {"uploaded", "identical"} for each in report.files)


def _stored(emulator: Emulator, wheel: Path) -> bytes | None:
    try:
        return emulator.read(wheel.name)
    except FileNotFoundError:
        return None


def _linked(failure: Failure) -> str:
    return f"[{failure.anchor}](troubleshooting.md#{failure.anchor}) ({failure.exit_code})"


def as_markdown(outcomes: dict[str, dict[str, dict[str, str]]]) -> str:
    """Return the tables as Markdown."""
    return "\n".join(line for strength, rows in outcomes.items() for line in _table(strength, rows))


def _table(strength: str, rows: dict[str, dict[str, str]]) -> Iterator[str]:
    yield f"### Each fault {strength}\n"
    yield f"| fault | {' | '.join(ENDPOINTS)} |"
    yield f"| --- |{' --- |' * len(ENDPOINTS)}"
    for fault, cells in rows.items():
        yield f"| {fault} | {' | '.join(cells.values())} |"
    yield ""


def in_document(text: str, tables: str) -> str:
    """Return the document with these tables."""
    return re.sub(r"(<!-- matrix: [^\n]*-->\n).*?(<!-- /matrix -->)", rf"\1\n{tables}\n\2", text, flags=re.DOTALL)


def main() -> int:
    """Run all cells; with `--write`, update the document.

    Returns:
        1 if any cell went wrong.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write the tables into docs/{DOCUMENT.name}")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gar-publish-bench-") as scratch:
        outcomes, wrong = tables(Path(scratch))
    print(as_markdown(outcomes))
    if options.write:
        DOCUMENT.write_text(in_document(DOCUMENT.read_text("utf-8"), as_markdown(outcomes)), "utf-8")
    print(*wrong, sep="\n")
    print(f"{len(wrong)} cells went wrong" if wrong else "every cell came through or failed cleanly")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
