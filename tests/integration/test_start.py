"""A run does not import modules that it does not need: importing one of these takes longer than a request."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gar_emulator import Emulator
from tests.integration.frontdoors import DIRECT, PUBLISH, PUBLISHER
from tests.wheels import make_wheel

NOT_NEEDED = {
    "actions_toolkit",  # the action
    "asyncio",
    "cryptography",  # keys
    "cyclonedx",  # `sbom: true`
    "docutils",  # readmes in reStructuredText
    "google.auth.identity_pool",  # credentials files
    "rich.progress",  # a terminal
    "twine.repository",
    "venv",  # the image
}


@pytest.mark.parametrize("more", [(), ("--service-account", PUBLISHER)], ids=["direct", "impersonation"])
def test_workload_identity(
    emulator: Emulator, clean_env: dict[str, str], tmp_path: Path, more: tuple[str, ...]
) -> None:
    environment = {**clean_env, **emulator.exports(), "PATH": os.defpath}
    command = [sys.executable, "-X", "importtime", "-m", "gar_publish.cli.main", *PUBLISH, *DIRECT, *more]
    command += ["--dist", str(make_wheel(tmp_path))]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    imported = set(re.findall(r"^import time: .*\| +(\S+)$", done.stderr, re.MULTILINE))
    assert "twine.package" in imported
    assert imported & NOT_NEEDED == set()
