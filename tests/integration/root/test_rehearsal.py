"""Hostile wheels that root rehearses: nothing is stolen, nothing is left, and an import ends."""

import json
from pathlib import Path

from tests.integration.root.rooms import Run, needs_root
from tests.wheels import make_wheel

TOKEN = "canary-71d0a9e4f6b2c358"  # made up here

pytestmark = needs_root

HUNTS = """
import json, os, pathlib, time
found = {"user": os.getuid(), "saw": 0, "environment": sorted(os.environ), "texts": []}
until = time.monotonic() + 3
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
for _ in range(40):
    if os.fork() == 0:
        os.setsid()
        while True:
            try:
                os.fork()
            except OSError:
                time.sleep(0.1)
time.sleep(600)
"""


def test_hostile_wheels(room: Path, run: Run) -> None:
    loot = room / "tmp" / "loot"
    wheels = [
        make_wheel(room / "out", "hunts", content=HUNTS.replace("LOOT", str(loot))),
        make_wheel(room / "out", "forks", content=FORKS),
        make_wheel(room / "out", "hangs", content="import threading\nthreading.Event().wait()\n"),
        make_wheel(room / "out", "fine", content="import os\nassert os.getuid() > 0\n"),
    ]
    result = run(driver="rehearsal_driver.py", wheels=list(map(str, wheels)), token=TOKEN, seconds=8)
    assert {name: outcomes[0]["state"] for name, outcomes in result["outcomes"].items()} == {
        "hunts": "passed",
        "forks": "failed",
        "hangs": "failed",
        "fine": "passed",
    }
    assert result["outcomes"]["hangs"][0]["problems"] == ["hangs did not end within 8 seconds (`rehearse-timeout`)"]
    assert result["left"] == []
    found = json.loads(loot.read_text())
    assert found["user"] > 0
    assert found["saw"] > 0
    assert found["texts"] == []
    assert not {name for name in found["environment"] if name.startswith(("UV_", "GITHUB_", "GOOGLE_"))}
