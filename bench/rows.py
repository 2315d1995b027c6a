"""Compare the measurements with the targets."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.measure import Summary
from bench.tools import AGAIN, LOOP, OURSELVES, TWINE, UV, UV_ALL

RESULTS = Path(__file__).parent / "results.json"
MB = 1_000_000

IN_IMAGE = "gar-publish in its image"
FIFTY_IN_IMAGE = "50 packages: gar-publish in its image"
FIFTY_AS_ROOT = "50 packages: gar-publish as root in a container of the base"
UV_IN_BASE = f"{UV} in a container of the base"
UV_ON_HOST = f"{UV} without a container"
VERSION = "docker run IMAGE --version"
PASS = "docker run BASE python -c pass"

Table = Mapping[str, Summary]


@dataclass(frozen=True)
class Size:
    """The bytes that an image adds to its base, plain and compressed."""

    plain: int
    compressed: int


@dataclass
class Measured:
    """All measurements, by the names of the cases.

    Attributes:
        small: One package of each backend.
        workspace: 50 packages.
        scale: gar-publish, by the number of packages.
        containers: The image and its base.
        size: The size of the image.
        environment_made: Whether uv ran although nothing was new.
        missing: Why nothing was measured in containers.
        failed: The names of the cases that failed.
    """

    small: Table = field(default_factory=dict)
    workspace: Table = field(default_factory=dict)
    scale: Table = field(default_factory=dict)
    containers: Table = field(default_factory=dict)
    size: Size | None = None
    environment_made: bool = False
    missing: str = ""
    failed: list[str] = field(default_factory=list)


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
    ours = f"hatchling: {OURSELVES}"
    yield Row(
        "one small package, build + credentials + upload + read-back",
        f"{TWINE} (which do neither credentials nor read-back)",
        _ratio(of.small, ours, f"hatchling: {TWINE}"),
        0.4,
        note=_failed(of, ours, f"hatchling: {TWINE}") or _setuptools(of.small, TWINE),
    )
    yield Row(
        "the same in the image (its warm cache and kept byte code count)",
        f"{UV} online",
        _ratio(of.containers, IN_IMAGE, UV_IN_BASE),
        1.0,
        note=of.missing
        or _failed(of, IN_IMAGE, UV_IN_BASE)
        or _formatted("{:.2f} of uv without a container", _ratio(of.containers, IN_IMAGE, UV_ON_HOST)),
    )
    yield Row(
        "the same as a plain command, both with a warm uv cache",
        UV,
        _ratio(of.small, ours, f"hatchling: {UV}"),
        1.3,
        note=_failed(of, ours, f"hatchling: {UV}") or _setuptools(of.small, UV),
    )
    fifty = "50 small hatchling packages, credentials and read-back included"
    for work, peer, label, target in ((fifty, UV_ALL, UV_ALL, 0.15), ("the same 50 packages", LOOP, f"a {LOOP}", 0.02)):
        note = _failed(of, OURSELVES, peer)
        yield Row(work, label, _ratio(of.workspace, OURSELVES, peer), target, note=note)
    both = {**of.workspace, **of.containers}
    for work, name, target in (
        ("the same 50 packages in the image", FIFTY_IN_IMAGE, 0.15),
        ("the same 50 packages as root, without the image", FIFTY_AS_ROOT, 0.45),
    ):
        yield Row(work, UV_ALL, _ratio(both, name, UV_ALL), target, note=of.missing or _failed(of, name, UV_ALL))
    yield Row(
        "50 packages again with nothing new",
        "the first run",
        _ratio(of.workspace, AGAIN, OURSELVES),
        0.5,
        fine=not of.environment_made,
        note=f"{'a' if of.environment_made else 'no'} build environment was made"
        if AGAIN in of.workspace
        else _failed(of, OURSELVES),
    )
    each = {count: summary.median / int(count) for count, summary in of.scale.items()}
    yield Row(
        "cost per package from 10 to 200 packages",
        "with 10 packages",
        _rounded(each["200"] / each["10"]) if {"10", "200"} <= each.keys() else None,
        1.0,
        note=_failed(of, "10", "200")
        or ", ".join(f"{seconds * 1000:.0f} ms of {count}" for count, seconds in each.items() if count != "1"),
    )
    peaks = {count: summary.memory for count, summary in of.scale.items() if summary.memory}
    above = _rounded((peaks["200"] - peaks["1"]) / MB) if {"1", "200"} <= peaks.keys() else None
    note = f"{peaks['200'] / MB:.0f} MB and {peaks['1'] / MB:.0f} MB" if above is not None else _failed(of, "1", "200")
    yield Row("peak memory, 200 packages above one", "one package", above, 150, unit=" MB", note=note)
    yield Row(
        f"image: {VERSION}",
        PASS,
        _ratio(of.containers, VERSION, PASS),
        1.5,
        note=of.missing or _failed(of, VERSION, PASS),
    )
    yield _size(of)


def _size(of: Measured) -> Row:
    work, most = "image size above its base", 28
    if of.size is None:
        return Row(work, "its base", None, 75, unit=" MB", note=of.missing)
    compressed = of.size.compressed / MB
    note = f"compressed {compressed:.1f} MB, target {most} MB"
    return Row(work, "its base", _rounded(of.size.plain / MB), 75, fine=compressed <= most, unit=" MB", note=note)


def _ratio(table: Table, one: str, other: str) -> float | None:
    return _rounded(table[one].median / table[other].median) if {one, other} <= table.keys() else None


def _rounded(number: float) -> float:
    return float(f"{number:.3g}")


def _formatted(template: str, ratio: float | None) -> str:
    return "" if ratio is None else template.format(ratio)


def _failed(of: Measured, *names: str) -> str:
    return ", ".join(f"{name} failed" for name in names if name in of.failed)


def _setuptools(small: Table, peer: str) -> str:
    return _formatted("{:.2f} with setuptools", _ratio(small, f"setuptools: {OURSELVES}", f"setuptools: {peer}"))


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
