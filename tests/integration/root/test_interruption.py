"""A signal while root's builds run: everything that they started is ended before anything is opened again."""

from pathlib import Path

import pytest

from tests.integration.root.rooms import IN_TREE, Run, checkout, needs_root, said

pytestmark = needs_root

ENDLESS = """
import os, pathlib, signal, subprocess, time
here = pathlib.Path.cwd()
def build_wheel(folder, config_settings=None, metadata_directory=None):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for _ in range(3):
        subprocess.Popen(["sleep", "600"], start_new_session=True)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            while True:
                (here / "endless").write_text("x")
        os._exit(0)
    print("may enter", os.access(os.environ["CI"] + "/../github", os.X_OK), flush=True)
    pathlib.Path(os.environ["CI"], here.name).touch()
    time.sleep(600)
"""


@pytest.mark.parametrize("insist", [False, True])
@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interruption_ends_all_builds(room: Path, run: Run, jobs: int, *, insist: bool) -> None:
    workspace = room / "github/workspace"
    checkout(room, "abc", {"backend.py": ENDLESS, "pyproject.toml": IN_TREE})
    begun = [str(room / "tmp" / name) for name in "ab"[:jobs]]
    variables = {"CI": str(room / "tmp"), "GITHUB_WORKSPACE": str(workspace)}
    result = run(
        packages=["a", "b", "c"], interrupt_after=begun, insist=insist, jobs=jobs, variables=variables, go_on=True
    )
    assert result["failure"] == {"kind": "KeyboardInterrupt"}
    assert (result["files"], result["failures"]) == ([], {})
    assert result["left"] == []
    assert (room / "github").stat().st_mode & 0o777 == 0o755
    if jobs == 1:
        assert said(result)[-1] == f"may enter {not insist}", "it was shut meanwhile"
