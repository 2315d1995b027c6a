"""Compare the measurements with the targets."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench import sizes
from bench.containers import PASS, VERSION
from bench.many import FIFTY_AS_ROOT, FIFTY_IN_IMAGE
from bench.measured import (
    FAR,
    FIFTY,
    FIFTY_IN_CONTAINERS,
    IMAGE_SIZE,
    NEAR,
    SCALE,
    SIZES_IN_CONTAINERS,
    SMALL_IN_CONTAINERS,
    START,
    Measured,
    Table,
)
from bench.projects import BACKENDS
from bench.real import AS_USER, HAYSTACK, OPENTELEMETRY, PLACES, PYDANTIC
from bench.tools import AGAIN, LOOP, OURSELVES, TWINE, UV, UV_ALL, UV_EACH

RESULTS = Path(__file__).parent / "results.json"
MB = 1_000_000
FASTEST = "the fastest peer"


@dataclass(frozen=True)
class Row:
    """One piece of work.

    Attributes:
        work: The description of the work.
        peer: The tool or work that it is compared with.
        ratio: The result, which must not exceed the target; None if it was not measured.
        target: The highest result that meets the target.
        fine: Whether the other conditions are met.
        unit: The unit of the result and the target; empty for a ratio.
        note: A remark.
    """

    work: str
    peer: str
    ratio: float | None
    target: float
    fine: bool = True
    unit: str = ""
    note: str = ""

    @property
    def met(self) -> bool:
        return self.ratio is not None and self.ratio <= self.target and self.fine

    def as_json(self) -> dict[str, Any]:
        """Return the row for `results.json`."""
        return {name: getattr(self, name) for name in ("work", "peer", "ratio", "target", "met")}


def rows(of: Measured) -> Iterator[Row]:
    """Yield the rows."""
    yield from _small(of)
    yield from _many(of)
    yield from _real(of)
    yield from _large(of)
    yield _times(of, START, (f"image: {VERSION}", VERSION), (PASS, PASS), 1.5)
    yield _size(of)


# One small package


def _small(of: Measured) -> Iterator[Row]:
    for table, where in ((FAR, "80 ms"), (NEAR, "10 ms"), (SMALL_IN_CONTAINERS, "80 ms, in the image")):
        for backend in BACKENDS:
            yield _against_the_fastest(of, table, backend, f"one small {backend} package, {where}")
    ours = ("one small package, build + credentials + upload + read-back", f"hatchling: {OURSELVES}")
    peer = (f"{TWINE} (which do neither credentials nor read-back)", f"hatchling: {TWINE}")
    yield _times(of, FAR, ours, peer, 0.4)
    in_python = [backend for backend in BACKENDS if backend != "uv_build"]
    yield _memory(of, in_python, "peak memory, one small package, the worst of the backends in Python")
    yield _memory(of, ["uv_build"], "peak memory, one small package, uv_build, which uv runs without Python")


def _against_the_fastest(of: Measured, table: str, backend: str, work: str) -> Row:
    found = of.tables.get(table, {})
    ours = f"{backend}: {OURSELVES}"
    peers = {name: each.median for name, each in found.items() if name.startswith(f"{backend}: ") and name != ours}
    failed = [name for name in of.failed.get(table, []) if name.startswith(f"{backend}: ")]
    if not peers or ours not in found:
        return Row(work, FASTEST, None, 1.0, note=_why(of, table, *dict.fromkeys((ours, *failed))))
    best = min(peers, key=lambda name: peers[name])
    note = ", ".join([f"{best.partition(': ')[2]}, {peers[best]:.2f} s", *_failures(of, table, *failed)])
    return Row(work, FASTEST, _rounded(found[ours].median / peers[best]), 1.0, fine=not failed, note=note)


def _memory(of: Measured, backends: Sequence[str], work: str) -> Row:
    """Return the row of the backend with the worst ratio."""
    found = of.tables.get(FAR, {})
    ratios = {}
    for backend in backends:
        ours, uv = (found.get(f"{backend}: {name}") for name in (OURSELVES, UV))
        if ours and uv and uv.memory:
            ratios[backend] = ours.memory / uv.memory
    needed = [f"{backend}: {name}" for backend in backends for name in (OURSELVES, UV)]
    note = ", ".join(f"{ratio:.2f} with {backend}" for backend, ratio in ratios.items()) or _why(of, FAR, *needed)
    worst = _rounded(max(ratios.values())) if ratios else None
    return Row(work, UV, worst, 1.3, fine=len(ratios) == len(backends), note=note)


# Many small packages


def _many(of: Measured) -> Iterator[Row]:
    fifty = "50 small hatchling packages, credentials and read-back included"
    yield _times(of, FIFTY, (fifty, OURSELVES), (UV_ALL, UV_ALL), 0.15)
    yield _times(of, FIFTY, ("the same 50 packages", OURSELVES), (f"a {LOOP}", LOOP), 0.02)
    for work, name, target in (
        ("the same 50 packages in the image", FIFTY_IN_IMAGE, 0.15),
        ("the same 50 packages as root, without the image", FIFTY_AS_ROOT, 0.45),
    ):
        ours, peer = of.tables.get(FIFTY_IN_CONTAINERS, {}), of.tables.get(FIFTY, {})
        note = ", ".join(filter(None, (_why(of, FIFTY_IN_CONTAINERS, name), _why(of, FIFTY, UV_ALL))))
        yield Row(work, UV_ALL, _ratio({**peer, **ours}, name, UV_ALL), target, note=note)
    yield _again(of)
    yield _per_package(of, "10", "200")
    yield _per_package(of, "200", "2000")
    found = of.tables.get(SCALE, {})
    peaks = {count: summary.memory for count, summary in found.items() if summary.memory}
    above = _rounded((peaks["200"] - peaks["1"]) / MB) if {"1", "200"} <= peaks.keys() else None
    note = _why(of, SCALE, "1", "200") if above is None else f"{peaks['200'] / MB:.0f} MB and {peaks['1'] / MB:.0f} MB"
    yield Row("peak memory, 200 packages above one", "one package", above, 150, unit=" MB", note=note)
    mains = {count: summary.main for count, summary in found.items() if summary.main}
    ratio = _rounded(mains["2000"] / mains["200"]) if {"200", "2000"} <= mains.keys() else None
    note = _why(of, SCALE, "200", "2000")
    if ratio is not None:
        note = f"{mains['2000'] / MB:.0f} MB and {mains['200'] / MB:.0f} MB"
    yield Row("peak memory of the main process, 2000 packages", "with 200 packages", ratio, 1.1, note=note)


def _again(of: Measured) -> Row:
    row = _times(of, FIFTY, ("50 packages again with nothing new", AGAIN), ("the first run", OURSELVES), 0.5)
    made = f"{'a' if of.environment_made else 'no'} build environment was made"
    return row if row.ratio is None else replace(row, fine=not of.environment_made, note=made)


def _per_package(of: Measured, few: str, many: str) -> Row:
    each = {count: summary.median / int(count) for count, summary in of.tables.get(SCALE, {}).items()}
    measured = {few, many} <= each.keys()
    return Row(
        f"time per package from {few} to {many} packages",
        f"with {few} packages",
        _rounded(each[many] / each[few]) if measured else None,
        1.0,
        note=", ".join(f"{each[count] * 1000:.0f} ms of {count}" for count in (few, many))
        if measured
        else _why(of, SCALE, few, many),
    )


# Real repositories


def _real(of: Measured) -> Iterator[Row]:
    for repository, place, peer, target in (
        (HAYSTACK, AS_USER, UV_EACH, 0.15),
        (OPENTELEMETRY, AS_USER, UV_ALL, 0.25),
        *((PYDANTIC, place, UV_ALL, 0.8) for place in PLACES[PYDANTIC]),
    ):
        work = f"the packages of {repository}, {place}"
        yield _published(of, repository, (work, f"{place}: {OURSELVES}"), (peer, f"{place}: {peer}"), target)
    again = (f"the packages of {HAYSTACK} again with nothing new", f"{AS_USER}: {AGAIN}")
    yield _published(of, HAYSTACK, again, ("the first run", f"{AS_USER}: {OURSELVES}"), 0.1)


def _published(of: Measured, repository: str, ours: tuple[str, str], peer: tuple[str, str], target: float) -> Row:
    row = _times(of, repository, ours, peer, target)
    return row if row.ratio is None else replace(row, note=f"{of.packages[repository]} packages")


# What else is large


def _large(of: Measured) -> Iterator[Row]:
    found = of.tables.get(SIZES_IN_CONTAINERS, {})
    names = [f"{size}: {OURSELVES}" for size in (sizes.FILES, sizes.ALONE)]
    more = _rounded(found[names[0]].median - found[names[1]].median) if {*names} <= found.keys() else None
    note = _why(of, SIZES_IN_CONTAINERS, *names)
    yield Row(f"{sizes.FILES}, one small package, in the image", sizes.ALONE, more, 3, unit=" s", note=note)


def _size(of: Measured) -> Row:
    work, most = "image size above its base", 30
    if of.size is None:
        return Row(work, "its base", None, 80, unit=" MB", note=of.missing.get(IMAGE_SIZE, ""))
    compressed = of.size.compressed / MB
    note = f"compressed {compressed:.1f} MB, target {most} MB"
    return Row(work, "its base", _rounded(of.size.plain / MB), 80, fine=compressed <= most, unit=" MB", note=note)


# All rows


def _times(of: Measured, table: str, ours: tuple[str, str], peer: tuple[str, str], target: float) -> Row:
    """Return the row that compares the times of two cases, each given with its name in the row."""
    ratio = _ratio(of.tables.get(table, {}), ours[1], peer[1])
    return Row(ours[0], peer[0], ratio, target, note=_why(of, table, ours[1], peer[1]))


def _ratio(table: Table, one: str, other: str) -> float | None:
    return _rounded(table[one].median / table[other].median) if {one, other} <= table.keys() else None


def _rounded(number: float) -> float:
    return float(f"{number:.3g}")


def _why(of: Measured, table: str, *names: str) -> str:
    """Return why cases of a table were not measured, if they were not."""
    missing = [of.missing[table]] if table in of.missing and not {*names} <= of.tables.get(table, {}).keys() else []
    return ", ".join([*_failures(of, table, *names), *missing])


def _failures(of: Measured, table: str, *names: str) -> list[str]:
    return [f"{name} failed" for name in names if name in of.failed.get(table, [])]


def write(made: list[Row]) -> None:
    """Write `results.json`."""
    RESULTS.write_text(json.dumps([row.as_json() for row in made], indent=2) + "\n", encoding="utf-8")


def as_markdown(made: list[Row]) -> str:
    """Return the table as Markdown."""
    lines = ["| work | against | measured | target | met | |", "| --- | --- | --: | --: | --- | --- |"]
    for row in made:
        measured = "not measured" if row.ratio is None else f"{row.ratio:g}{row.unit}"
        met = "yes" if row.met else "**no**"
        lines.append(f"| {row.work} | {row.peer} | {measured} | {row.target:g}{row.unit} | {met} | {row.note} |")
    return "\n".join(lines)
