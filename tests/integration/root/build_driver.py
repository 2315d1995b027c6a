"""Build in a separate process, so that a test can choose its user, its Python and its environment.

It reads a test's options as JSON from standard input, and writes the results as JSON to standard output.
"""

import json
import os
import sys
import traceback
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

from gar_publish.builder.builds import building
from gar_publish.errors import Failure
from gar_publish.process import hide_this_process
from gar_publish.projects import find
from tests.recording import RecordingConsole


def answer(url: str | None) -> "Future[str | None]":
    given: Future[str | None] = Future()
    given.set_result(url)
    return given


def left() -> Iterator[str]:
    """Yield the commands of the other processes, except the first."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        if int(file.parent.name) not in {1, os.getpid()} and (command := file.read_text()):
            yield command


def main() -> None:
    orders = json.load(sys.stdin)
    if orders.get("hide"):
        hide_this_process()
    console = RecordingConsole()
    workspace = Path(orders["workspace"])
    files: list[str] = []
    failures: dict[str, str] = {}
    result: dict[str, object] = {"failure": None, "files": [], "failures": failures}
    try:
        with building(
            find.find(orders.get("packages", ["."]), workspace),
            formats=orders.get("formats", ["wheel"]),
            out=Path(orders["out"]),
            environment=os.environ,
            console=console,
            private_index=lambda _names: answer(orders.get("private_index")),
            insist=orders.get("insist", False),
            jobs=orders.get("jobs", 0),
        ) as builds:
            for built in builds:
                if built.failure and not orders.get("go_on"):
                    raise built.failure
                if built.failure:
                    failures[built.project.label] = built.failure.anchor
                files += map(str, built.files)
        result["files"] = sorted(files, key=lambda file: int(Path(file).parent.name))
    except Failure as failure:
        result["failure"] = {
            "kind": type(failure).__name__,
            "anchor": failure.anchor,
            "text": failure.explain(),
            "trace": traceback.format_exc(),
        }
    json.dump(result | {"said": console.said, "left": list(left()) if orders["alone"] else None}, sys.stdout)


main()
