import re
from dataclasses import fields
from pathlib import Path

from gar_emulator.world.switches import Switches

FIDELITY = (Path(__file__).parents[3] / "docs/fidelity.md").read_text("utf-8")
CONFIDENCE = re.compile(r"documented|seen|tried|guess|not emulated|emulator's own")


def _rows() -> list[list[str]]:
    rows = [line.strip("|").split("|") for line in FIDELITY.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in rows if row[0].strip() not in {"behaviour", "---"}]


def test_every_row_says_how_sure_it_is() -> None:
    assert len(_rows()) > 30
    for row in _rows():
        assert len(row) == 3, row
        assert CONFIDENCE.search(row[1]), row


def test_documented_switches_are_those_of_the_code_with_their_defaults() -> None:
    documented = dict(re.findall(r"^\s*`([a-z-]+)` \(([^ ,:)]+)", row[2])[0] for row in _rows() if row[2])
    defaults = {item.name.replace("_", "-"): item.default for item in fields(Switches)}
    assert {name: value.replace("true", "True").replace("false", "False") for name, value in documented.items()} == {
        name: f"{default:g}" if isinstance(default, float) else str(default) for name, default in defaults.items()
    }


def test_every_switch_is_explained_where_it_is_declared() -> None:
    for item in fields(Switches):
        assert f"        {item.name}: " in (Switches.__doc__ or "")
