"""Some cells of `python -m bench.tools_matrix`. All of its results are in docs/install.md."""

import json
import sys
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


@pytest.mark.parametrize(("configured", "stranger"), [("pip", True), ("uv --user", False)])
def test_uv_in_another_tool_does_not_read_the_settings_of_pip(
    *, both: Indexes, tmp_path: Path, configured: str, stranger: bool
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/uv").symlink_to(Path(sys.executable).with_name("uv"))
    (nox,) = (each for each in TOOLS if each.name == "nox")
    command = f"unset UV_PYTHON; PATH={tmp_path}/bin:$PATH nox --default-venv-backend uv"
    files = {"noxfile.py": 'import nox\n@nox.session\ndef tests(session):\n    session.install("acme-hello")\n'}
    changed = replace(nox, command=command, files=files, configured=configured)
    cell = Cell(changed, "--token", both, tmp_path / "cell", CACHE)
    cell.outcome()
    assert ("installs the stranger's acme_hello" in cell.wrong) == stranger
    assert bool(cell.wrong) == stranger


def test_the_results_are_of_every_cell() -> None:
    results = json.loads(RESULTS.read_text("utf-8"))
    assert {label: list(row) for label, row in results.items()} == {tool.label: list(WAYS) for tool in TOOLS}
    assert INSTALLED in {outcome for row in results.values() for outcome in row.values()}
