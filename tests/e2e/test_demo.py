"""The README's commands to try gar-publish without Google, in a fresh clone."""

import subprocess
from pathlib import Path

from tests.blocks import blocks
from tests.conftest import ROOT, copy_tree
from tests.git import commit
from tests.leaks import Leaks


def test_the_demo_imports_the_installed_package(tmp_path: Path, clean_env: dict[str, str], leaks: Leaks) -> None:
    leaks.excuse("-m gar_publish.cli.main")  # the demo passes it the variables of a job, as a runner does
    leaks.expect(tmp_path / "gar-publish/tests")  # they contain prefixes of tokens
    (commands,) = (block.text for block in blocks(ROOT / "README.md") if "make demo\n" in block.text)
    origin = tmp_path / "origin"
    copy_tree(ROOT, origin)
    commit(origin)
    instead_of_github = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{origin.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/org/gar-publish",
    }
    run = subprocess.run(
        ["sh", "-ec", commands],
        cwd=tmp_path,
        env=clean_env | instead_of_github | {"HTTP_PROXY": "http://127.0.0.1:9"},  # the emulator needs no proxy
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    for name in ("hello_gar", "hello_gar_words"):
        assert f"uploaded  {name}-1.0.0-py3-none-any.whl" in run.stderr
    assert "oauth2accesstoken:***@" in run.stderr
    assert "Downloading http://127.0.0.1:" in run.stderr
    assert "Successfully installed hello-gar-1.0.0" in run.stderr
    assert "Hello, world, from a package in Artifact Registry." in run.stderr
    assert "Done." in run.stderr
    assert "ya29." not in run.stdout + run.stderr
