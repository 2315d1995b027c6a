"""Real projects from PyPI are built, published, installed into a fresh environment, and imported."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gar_emulator import Emulator
from tests.conftest import ROOT, copy_tree
from tests.integration.real import REAL, download

REPOSITORY = "us-central1/demo-project/python"
PROVIDER = "projects/123456789012/locations/global/workloadIdentityPools/github/providers/github"
MODULES = {real.name: real.module for real in REAL.values()} | {"gar-publish": "gar_publish"}


@dataclass(frozen=True)
class Published:
    report: Mapping[str, Any]
    environment: Mapping[str, str]
    line: str
    emulator: Emulator


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, session_env: dict[str, str]) -> Iterator[Published]:
    """Publish all projects in one run, like a monorepo, and yield the result."""
    folder = tmp_path_factory.mktemp("real")
    projects = [download(real, folder).name for real in REAL.values()]
    copy_tree(ROOT, folder / "gar-publish")
    with Emulator(data=tmp_path_factory.mktemp("emulator")) as emulator:
        environment = {**session_env, **emulator.exports()}
        gar_publish = [sys.executable, "-m", "gar_publish.cli.main"]
        where = ["--repository", REPOSITORY, "--workload-identity-provider", PROVIDER]
        publish = [*gar_publish, "publish", *projects, "gar-publish", *where, "--formats", "wheel,sdist", "--json", "-"]
        run = subprocess.run(publish, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        line = subprocess.run(
            [*gar_publish, "index-url", *where], env=environment, capture_output=True, text=True, check=True
        ).stdout
        yield Published(json.loads(run.stdout), session_env, line.strip(), emulator)


def test_publishes_a_wheel_and_an_sdist_of_each(published: Published) -> None:
    packages = {package["name"]: package["files"] for package in published.report["packages"]}
    assert packages.keys() == MODULES.keys()
    for files in packages.values():
        assert sorted(file["filename"].rpartition(".")[2] for file in files) == ["gz", "whl"]
        assert {file["status"] for file in files} == {"uploaded"}
        for file in files:
            assert hashlib.sha256(published.emulator.read(file["filename"])).hexdigest() == file["sha256"]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory, published: Published) -> Path:
    """Install all packages into a fresh environment with pip, and return its interpreter.

    The hashes require the published files. PyPI has the same names and versions, so pip does not use it.
    """
    folder = tmp_path_factory.mktemp("fresh") / "environment"
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], env=published.environment, check=True)
    before = len(published.emulator.requests)
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "--python",
            folder,
            "install",
            "--no-deps",
            "--require-hashes",
            "-r",
            "/dev/stdin",
        ],
        input=f"--index-url {published.line.split()[1]}\n{published.report['requirements-hashed']}\n",
        env={**published.environment, "PIP_NO_CACHE_DIR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    downloads = [seen for seen in published.emulator.requests[before:] if seen.path.endswith(".whl")]
    assert len(downloads) == len(MODULES)
    return folder / "bin" / "python"


@pytest.mark.parametrize("name", MODULES)
def test_installed_packages_can_be_imported(fresh: Path, published: Published, name: str) -> None:
    show = f"import {MODULES[name]} as it, importlib.metadata as m; print(m.version({name!r}), it.__file__)"
    shown = subprocess.run(
        [fresh, "-c", show], env=published.environment, cwd="/", capture_output=True, text=True, check=True
    )
    version, file = shown.stdout.split()
    assert f"{name}=={version}" in published.report["requirements"].splitlines()
    assert Path(file).is_relative_to(fresh.parent.parent)
