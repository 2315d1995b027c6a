"""Calls of the hooks of a local backend, in new processes and in forks of a template."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gar_publish.builder.environment import Environment
from gar_publish.builder.sandbox import BACKEND_VARIABLE, Sandbox

FORKED = "hatchling.build"
FRESH = "other"
Call = Callable[..., object]

BACKEND = """
import os, pathlib, tempfile
tempfile.gettempdir()
os.environ["IMPORTED"] = "yes"
with open(LOG, "a") as log:
    log.write("imported\\n")
seen = []
def get_requires_for_build_wheel(config_settings=None):
    before = [str(os.getpid()), str(len(seen)), os.getcwd(), str("LEFT" in os.environ), os.environ.get("MINE", "")]
    seen.append("this")
    os.environ["LEFT"] = "behind"
    os.chdir("/")
    return before
def build_sdist(folder, config_settings=None):
    exec(pathlib.Path("deed.py").read_text(), globals())
    return "x"
"""
"""One hook tells what it sees, and leaves a trace of each kind; the other runs the file `deed.py`."""

both = pytest.mark.parametrize("backend", [FORKED, FRESH])


def caller(sandbox: Sandbox, environment: Environment, control: Path, said: list[str]) -> Call:
    """Return a function that calls a hook in a sandbox, and returns its result."""

    def call(
        hook: str = "build_sdist",
        deed: str = "",
        *,
        backend: str = FORKED,
        environment: Environment = environment,
        **given: str,
    ) -> object:
        control.mkdir(exist_ok=True)
        (sandbox.tree / "deed.py").write_text(deed)
        arguments: dict[str, object] = {"config_settings": None}
        if hook == "build_sdist":
            arguments["sdist_directory"] = str(sandbox.tree)
        (control / "input.json").write_text(json.dumps({"kwargs": arguments}))
        given = {BACKEND_VARIABLE: backend, **given}
        out = sandbox.call(environment, sandbox.tree, hook, control, given=given, show=said.append)
        return json.loads((out / "output.json").read_text())["return_val"]

    return call


def trace(call: Call, **given: object) -> list[str]:
    """Return what a hook sees: its process, calls before it, its folder, a variable left before it, and its own."""
    seen = call("get_requires_for_build_wheel", **given)
    assert isinstance(seen, list)
    return seen


def runs(pid: int) -> bool:
    """Return whether a process still runs after two seconds; a killed one may wait for init to reap it."""
    for _ in range(200):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        if (status := Path(f"/proc/{pid}/stat")).exists() and status.read_text().rpartition(")")[2].split()[0] == "Z":
            return False
        time.sleep(0.01)
    return True
