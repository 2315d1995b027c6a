"""Hostile wheels that root rehearses: nothing is stolen, and nothing is left."""

import json
from pathlib import Path

from tests.integration.root.rooms import Run, needs_root
from tests.wheels import make_wheel

TOKEN = "canary-71d0a9e4f6b2c358"  # made up here

pytestmark = needs_root

HUNTS = """
import json, os, pathlib, time
found = {"user": os.getuid(), "saw": 0, "environment": sorted(os.environ), "texts": []}
until = time.monotonic() + 2
while time.monotonic() < until:
    for each in pathlib.Path("/proc").glob("[0-9]*"):
        for name in ("environ", "cmdline"):
            try:
                text = (each / name).read_bytes().decode(errors="replace")
            except OSError:
                continue
            found["saw"] += 1
            if "canary-" in text:
                found["texts"].append(text)
for folder, _, files in os.walk("/var/lib/gar-publish"):
    for name in files:
        try:
            text = pathlib.Path(folder, name).read_bytes().decode(errors="replace")
        except OSError:
            continue
        if "canary-7" in text:
            found["texts"].append(name)
with open("LOOT", "w") as file:
    json.dump(found, file)
"""
FORKS = """
import os, time
for _ in range(300):
    if os.fork() == 0:
        os.setsid()
        break
time.sleep(600)
"""


def test_a_wheel_that_hunts_for_the_token(room: Path, run: Run) -> None:
    """It runs while uv, with the token, installs others."""
    loot = room / "tmp" / "loot"
    names = [f"other{number}" for number in range(8)]
    wheels = [make_wheel(room / "out", "hunts", content=HUNTS.replace("LOOT", str(loot)))]
    wheels += [make_wheel(room / "out", name, content="import os\nassert os.getuid() > 0\n") for name in names]
    result = run(driver="rehearsal_driver.py", wheels=list(map(str, wheels)), token=TOKEN, seconds=60)
    assert [outcomes[0]["state"] for outcomes in result["outcomes"].values()] == ["passed"] * 9, result
    found = json.loads(loot.read_text())
    assert found["user"] > 0
    assert found["saw"] > 0
    assert found["texts"] == []
    assert not {name for name in found["environment"] if name.startswith(("UV_", "GITHUB_", "GOOGLE_"))}


def test_a_wheel_that_leaves_processes_behind(room: Path, run: Run) -> None:
    wheel = make_wheel(room / "out", "forks", content=FORKS)
    result = run(driver="rehearsal_driver.py", wheels=[str(wheel)], token=TOKEN, seconds=3)
    (outcome,) = result["outcomes"]["forks"]
    assert outcome["problems"] == ["forks did not end within 3 seconds (`rehearse-timeout`)"]
    assert result["left"] == []
