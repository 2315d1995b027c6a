"""Fixtures for root's builds: a folder that every user can enter, and a Python that every user can run."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uv

from tests.conftest import ROOT
from tests.integration.root.rooms import ANYBODY, Run

ALONE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", '"$@"; exit $?', "sh")
"""Runs a program that sees only its own processes, so that what is left of them can be counted."""


@pytest.fixture(scope="module")
def python_for_every_user() -> Iterator[str]:
    """A Python with gar-publish's dependencies that every user can run; often not the one that runs the tests."""
    if _anybody_can_run(sys.executable):
        yield sys.executable
        return
    system = "/usr/bin/python3"
    if not _anybody_can_run(system):
        pytest.skip("no Python here that every user can run")
    folder = tempfile.mkdtemp(dir="/tmp")
    Path(folder).chmod(0o755)
    try:
        subprocess.run([uv.find_uv_bin(), "venv", "-q", "--python", system, f"{folder}/venv"], check=True)
        python = f"{folder}/venv/bin/python"
        needed = ["build", "packaging", "twine", "uv"]
        subprocess.run([uv.find_uv_bin(), "pip", "install", "-q", "--python", python, *needed], check=True)
        yield python
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def room() -> Iterator[Path]:
    """A folder that every user can enter, like /tmp and /github in a container."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    (folder / "tmp").mkdir()
    (folder / "tmp").chmod(0o1777)
    (folder / "out").mkdir()
    workspace = folder / "github" / "workspace"
    workspace.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def run(python_for_every_user: str, room: Path) -> Run:
    def run(
        *, variables: dict[str, str] | None = None, user: int | None = None, umask: int = -1, **orders: Any
    ) -> dict[str, Any]:
        passed = ("PATH", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR")
        environment = {name: os.environ[name] for name in passed if name in os.environ}
        if user is not None:
            for path in (room, room / "out", *room.glob("github/**/*")):
                os.chown(path, user, user)
        alone = user is None
        python = orders.pop("python", python_for_every_user)
        driver = orders.pop("driver", "build_driver.py")
        done = subprocess.run(
            [*(ALONE if alone else ()), python, Path(__file__).with_name(driver)],
            input=json.dumps(
                {"workspace": str(room / "github/workspace"), "out": str(room / "out"), "alone": alone} | orders
            ),
            env={
                **environment,
                "HOME": str(room / "github"),
                "UV_CACHE_DIR": str(room / "cache"),
                "TMPDIR": str(room / "tmp"),
                "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
                "PYTHONDONTWRITEBYTECODE": "1",
                **(variables or {}),
            },
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=300,
            umask=umask,
            user=user,
            group=user,
            extra_groups=[] if user is not None else None,
        )
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    return run


def _anybody_can_run(python: str) -> bool:
    script = "import sys; assert sys.version_info >= (3, 11)"
    try:
        subprocess.run([python, "-c", script], user=ANYBODY, group=ANYBODY, extra_groups=[], cwd="/", check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True
