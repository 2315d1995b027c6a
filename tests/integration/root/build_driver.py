"""Build in a separate process, so that a test can choose its user, its Python and its environment.

It reads a test's options as JSON from standard input, and writes the results as JSON to standard output.
"""

import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from gar_publish.builder.builds import building
from gar_publish.context import new_context
from gar_publish.errors import Failure
from gar_publish.process import hide_this_process
from gar_publish.projects import find
from tests.recording import RecordingConsole


def answer(url: str | None) -> "Future[str | None]":
    given: Future[str | None] = Future()
    given.set_result(url)
    return given


def interrupt_after(names: list[str]) -> None:
    """Send the signal of Ctrl+C once these files exist."""
    while not all(map(os.path.exists, names)):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)


def left() -> Iterator[str]:
    """Yield the commands of the other processes, except the first, and what removes files in the background."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        if int(file.parent.name) not in {1, os.getpid()}:
            with suppress(OSError):
                command = file.read_text()
                if command and not command.startswith("/bin/rm\0-rf\0"):
                    yield command


def main() -> None:
    orders = json.load(sys.stdin)
    if orders.get("hide"):
        hide_this_process()
    if "interrupt_after" in orders:
        threading.Thread(target=interrupt_after, args=(orders["interrupt_after"],), daemon=True).start()
    console = RecordingConsole()
    workspace = Path(orders["workspace"])
    files: list[str] = []
    failures: dict[str, str] = {}
    explained: dict[str, str] = {}
    result: dict[str, object] = {"failure": None, "files": [], "failures": failures, "explained": explained}
    try:
        with building(
            find.find(orders.get("packages", ["."]), workspace),
            formats=orders.get("formats", ["wheel"]),
            out=Path(orders["out"]),
            context=new_context(os.environ, console, workspace=workspace, container=orders.get("insist", False)),
            private_index=lambda _names: answer(orders.get("private_index")),
            jobs=orders.get("jobs", 0),
        ) as builds:
            for built in builds:
                if built.failure and not orders.get("go_on"):
                    raise built.failure
                if built.failure:
                    failures[built.project.label] = built.failure.anchor
                    explained[built.project.label] = built.failure.explain()
                files += map(str, built.files)
        result["files"] = sorted(files, key=lambda file: int(Path(file).parent.name))
    except KeyboardInterrupt:
        result["failure"] = {"kind": "KeyboardInterrupt"}
    except Failure as failure:
        result["failure"] = {
            "kind": type(failure).__name__,
            "anchor": failure.anchor,
            "text": failure.explain(),
            "trace": traceback.format_exc(),
        }
    json.dump(result | {"said": console.said, "left": list(left()) if orders["alone"] else None}, sys.stdout)


main()
