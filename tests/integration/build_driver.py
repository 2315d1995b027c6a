"""Builds in a process of its own, so that a test can choose its user, its Python and its environment.

Reads its orders as JSON from standard input, and writes what happened as JSON to standard output.
"""

import json
import os
import sys
import traceback
from pathlib import Path

from gar_publish import build, projects
from gar_publish.build.process import hide_this_process
from gar_publish.errors import Failure
from tests.recording import RecordingConsole


def main() -> None:
    orders = json.load(sys.stdin)
    if orders.get("hide"):
        hide_this_process()
    console = RecordingConsole()
    workspace = Path(orders["workspace"])
    result: dict[str, object] = {"failure": None, "files": []}
    try:
        built = build.build(
            projects.find(orders.get("packages", ["."]), workspace),
            formats=orders.get("formats", ["wheel"]),
            out=Path(orders["out"]),
            environment=os.environ,
            console=console,
            private_index=lambda _names: orders.get("private_index"),
            insist=orders.get("insist", False),
        )
        result["files"] = [str(file) for each in built for file in each.files]
    except Failure as failure:
        result["failure"] = {
            "kind": type(failure).__name__,
            "anchor": failure.anchor,
            "text": failure.explain(),
            "trace": traceback.format_exc(),
        }
    json.dump(result | {"said": console.said}, sys.stdout)


main()
