"""docs/emulator.md, docs/fidelity.md and docs/setup.md agree with the emulator."""

import json
import re
import shutil
import subprocess
from dataclasses import fields

import pytest

from gar_emulator import Emulator, World
from gar_emulator.tokens.github import claims_of
from gar_emulator.world.fault import ENDPOINTS, FAULTS
from gar_emulator.world.switches import Switches
from tests.blocks import blocks
from tests.conftest import ROOT

DOCUMENT = ROOT / "docs/emulator.md"
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs/fidelity.md").read_text("utf-8").splitlines()
    if line.startswith("| ") and not line.startswith(("| behaviour", "| ---"))
]


def example(language: str) -> str:
    (found,) = (block.text for block in blocks(DOCUMENT) if block.language == language)
    return found


def test_example_injects_shows_and_removes_faults(emulator: Emulator, clean_env: dict[str, str]) -> None:
    if not shutil.which("curl"):
        pytest.skip("needs curl")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", example("sh")],
        env={**clean_env, "GAR_EMULATOR_HOST": emulator.url, "NO_PROXY": "*"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    declared, seen, ended = (json.loads(line) for line in done.stdout.splitlines())
    assert [fault["fault"] for fault in declared] == [fault["fault"] for fault in seen] == ["503", "accepted-lost"]
    assert ended == []


def test_example_of_a_world_file_declares_faults() -> None:
    world = World.parse(example("toml"), "docs/emulator.md")
    assert [fault.fault for fault in world.faults] == ["503", "skew"]


def test_tables_have_every_endpoint_and_fault() -> None:
    rows = re.findall(r"^\| (`.+?) \|", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    assert re.findall(r"`([^`]+)`", " ".join(rows)) == [*ENDPOINTS, *FAULTS]


def test_every_row_of_fidelity_says_how_sure_it_is() -> None:
    assert len(ROWS) > 30
    for row in ROWS:
        assert len(row) == 3, row
        assert re.search(r"documented|seen|tried|guess|not emulated|emulator's own", row[1]), row


def test_fidelity_has_every_switch_with_its_default() -> None:
    documented = dict(re.findall(r"^`([a-z-]+)` \(([^ ,:)]+)", row[2])[0] for row in ROWS if row[2])
    defaults = {item.name.replace("_", "-"): item.default for item in fields(Switches)}
    assert {name: value.replace("true", "True").replace("false", "False") for name, value in documented.items()} == {
        name: f"{default:g}" if isinstance(default, float) else str(default) for name, default in defaults.items()
    }


def test_setup_shows_the_subjects_of_github() -> None:
    shown = dict(re.findall(r"^(before|since): +(\S+)$", (ROOT / "docs/setup.md").read_text("utf-8"), re.MULTILINE))
    job = {"repository": "octo-org/hello", "ref": "refs/tags/v1.2.3"}
    ids = {"repository_owner_id": "123456", "repository_id": "456789"}
    assert shown == {
        "before": claims_of(job, immutable=False)["sub"],
        "since": claims_of(job | ids, immutable=True)["sub"],
    }
