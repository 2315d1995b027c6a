"""Compare what version tools give in gar-publish's builds with what they give in those of `uv build`."""

import json
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TypedDict

from bench.corpus.same import differences
from bench.corpus.tools import CHECKOUTS, TOOLS, Checkout, Tool
from bench.corpus.ways import Host, Outcome, Place, project_and_version, without_paths
from gar_publish.builder.backend import Kind

RESULTS = Path(__file__).with_name("tools.json")
SAME = "same"
BOTH: Sequence[Kind] = ("wheel", "sdist")


class Row(TypedDict):
    """One tool in one checkout.

    Attributes:
        tool: Its name.
        checkout: The kind of checkout.
        uv: The version and the numbers of files that `uv build` gives, or its error.
        ways: For each way to run gar-publish, `same`, or what differs.
    """

    tool: str
    checkout: str
    uv: str
    ways: dict[str, str]


def rows(
    checkout: Checkout, tools: Sequence[Tool], places: Mapping[str, Place], host: Host, kinds: Sequence[Kind] = BOTH
) -> Iterator[Row]:
    """Build in a checkout, and yield a row for each of these tools.

    Args:
        checkout: The checkout.
        tools: The tools.
        places: Where to run gar-publish, by the way: as `user`, as another one for root.
        host: Where to run uv.
        kinds: What to build.
    """
    theirs = {kind: host.by_uv(checkout, tools, kind) for kind in kinds}
    ours = {
        way: {kind: place.by_gar_publish(checkout, tools, kind, is_root=way != "user") for kind in kinds}
        for way, place in places.items()
    }
    for tool in tools:
        name = tool.name
        different = {
            way: [f"{kind}: {word}" for kind in kinds if (word := judged(ours[way][kind][name], theirs[kind][name]))]
            for way in places
        }
        yield Row(
            tool=name,
            checkout=checkout.kind,
            uv=_given([theirs[kind][name] for kind in kinds]),
            ways={way: "; ".join(words) or SAME for way, words in different.items()},
        )


def judged(ours: Outcome, theirs: Outcome) -> str:
    """Return how what gar-publish built differs from what `uv build` did; nothing if it does not."""
    if ours.file and theirs.file:
        if ours.file.name != theirs.file.name:
            return f"{ours.file.name} is {theirs.file.name}"
        return "; ".join(differences(ours.file, theirs.file))
    if ours.file:
        return f"only uv fails: {theirs.error}"
    if theirs.file:
        return f"only gar-publish fails: {ours.error}"
    if ours.error and ours.error in without_paths(theirs.said):
        return ""
    return f"uv fails with {theirs.error!r}, gar-publish with {ours.error!r}"


def _given(outcomes: Sequence[Outcome]) -> str:
    versions, files = [], []
    for outcome in outcomes:
        if not outcome.file:
            return f"fails: {outcome.error}"
        versions.append(project_and_version(outcome.file)[1])
        files.append(_files(outcome.file))
    return f"{' or '.join(sorted(set(versions)))}, {' + '.join(map(str, files))} files"


def _files(file: Path) -> int:
    if file.suffix == ".whl":
        with zipfile.ZipFile(file) as wheel:
            return sum(not each.is_dir() for each in wheel.infolist())
    with tarfile.open(file) as sdist:
        return sum(each.isfile() for each in sdist)


def write(made: Iterable[Row]) -> None:
    """Add the rows to the results, or replace those of the same tools and checkouts. `make docs` shows them."""
    found: list[Row] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []
    by_place = {(row["checkout"], row["tool"]): row for row in found}
    for row in made:
        place = row["checkout"], row["tool"]
        ways = by_place[place]["ways"] if place in by_place else {}
        by_place[place] = row | {"ways": ways | row["ways"]}
    listed = [by_place[place] for place in product(CHECKOUTS, (tool.name for tool in TOOLS)) if place in by_place]
    RESULTS.write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")
