"""`make demo`, in a clean checkout: what a newcomer does first."""

import subprocess
from pathlib import Path

from tests.conftest import ROOT, copy_tree
from tests.leaks import Leaks


def test_the_demo_ends_with_an_import(tmp_path: Path, clean_env: dict[str, str], leaks: Leaks) -> None:
    leaks.excuse("-m gar_publish.cli")  # the demo gives it the variables of a job, as a runner does
    copy_tree(ROOT, tmp_path / "checkout")
    run = subprocess.run(
        ["make", "demo"], cwd=tmp_path / "checkout", env=clean_env, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Hello, world, from a package that came out of Artifact Registry." in run.stdout + run.stderr
    assert "ya29." not in run.stdout + run.stderr
