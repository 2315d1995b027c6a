"""Some cells of `python -m bench.tools_matrix`. All of its results are in docs/install.md."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench.tools_matrix import CACHE, INSTALLED, RESULTS, TOOLS, WAYS, Cell, Indexes, indexes
from tests.leaks import Leaks

SAMPLE = (("uv 0.4.30", "netrc"), ("pip-tools 7.6.2", "--token"), ("pip-tools 7.6.2", "setup"))


@pytest.fixture
def both(tmp_path: Path, leaks: Leaks) -> Iterator[Indexes]:
    leaks.expect(tmp_path)  # the homes have secrets on purpose, and the cells search the rest
    leaks.excuse("the environment of")
    with indexes(tmp_path, CACHE) as both:
        yield both


def test_a_sample_of_the_cells_is_as_the_results_say(both: Indexes, tmp_path: Path) -> None:
    """What pip-compile writes has no secret, either."""
    results = json.loads(RESULTS.read_text("utf-8"))
    tools = {tool.label: tool for tool in TOOLS}
    for label, way in SAMPLE:
        assert Cell(tools[label], way, both, tmp_path / f"{label} {way}", CACHE).outcome() == results[label][way]


def test_a_cell_finds_secrets_and_strangers(both: Indexes, tmp_path: Path, leaks: Leaks) -> None:
    leaks.excuse("the output of a process")  # which the cell searches
    spill = "pip install --target .venv --extra-index-url $UV_DEFAULT_INDEX acme-hello; tee copy <../home/.netrc"
    (pip,) = (each for each in TOOLS if each.label == "pip 26.3")
    cell = Cell(replace(pip, command=spill), "netrc", both, tmp_path / "cell", CACHE)
    cell.outcome()
    assert cell.wrong == [
        "installs the stranger's acme_hello",
        "acme_sibling is not installed",
        "everyday is not installed",
        "prints a secret",
        "writes a secret into copy",
    ]


def test_the_results_are_of_every_cell() -> None:
    results = json.loads(RESULTS.read_text("utf-8"))
    assert {label: list(row) for label, row in results.items()} == {tool.label: list(WAYS) for tool in TOOLS}
    assert INSTALLED in {outcome for row in results.values() for outcome in row.values()}
