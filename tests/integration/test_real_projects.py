"""Real projects, as they are on PyPI: built, published, installed with the line in a fresh environment, imported."""

import hashlib
import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import requests
from pip._internal.models.index import PyPI

from gar_publish.emulator import Emulator
from tests.conftest import ROOT, copy_tree

REPOSITORY = "us-central1/demo-project/python"
PROVIDER = "projects/123456789012/locations/global/workloadIdentityPools/github/providers/github"


@dataclass(frozen=True)
class Real:
    """A source distribution on PyPI."""

    name: str
    version: str
    sha256: str
    module: str

    @property
    def filename(self) -> str:
        return f"{self.name.replace('-', '_')}-{self.version}.tar.gz"


REAL = {
    "setuptools, setup.py only": Real(
        "six", "1.17.0", "ff70335d468e7eb6ec65b95b99d3a2836546063f63acc5171de367e834932a81", "six"
    ),
    "setuptools, pyproject.toml": Real(
        "decorator", "5.3.1", "4cbcdd55a6efadb9dbea26b858f4fb3264567b52d69ca0d25b721b553f60ea82", "decorator"
    ),
    "setuptools-scm": Real(
        "tabulate", "0.10.0", "e2cfde8f79420f6deeffdeda9aaec3b6bc5abce947655d17ac662b126e48a60d", "tabulate"
    ),
    "setuptools, a dotted name": Real(
        "backports-tarfile",
        "1.2.0",
        "d75e02c268746e1b8144c278978b6e98e85de6ad16f8e4b0844a154557eca991",
        "backports.tarfile",
    ),
    "hatchling": Real(
        "annotated-types",
        "0.8.0",
        "13b2beaad985e05e2d6407ee4c4f35590b11f8d693a258a561055cac8f64cab7",
        "annotated_types",
    ),
    "hatch-vcs": Real(
        "humanize", "4.17.0", "1d6a36c453dbfbb3f0b34601d2e0b4ce5d48d780305cd45714843f0068fde6ac", "humanize"
    ),
    "flit-core": Real("mdurl", "0.1.2", "bb413d29f5eea38f31dd4754dd7377d4465116fb207585f97bf925588687c1ba", "mdurl"),
    "poetry-core": Real(
        "crashtest", "0.4.1", "80d7b1f316ebfbd429f648076d6275c877ba30ba48979de4191714a75266f0ce", "crashtest"
    ),
    "pdm-backend": Real(
        "annotated-doc", "0.0.7", "0a30ef8f5322a4173720ae6712dc9a5e58f5a19868f3f167b4b5778db066c2b5", "annotated_doc"
    ),
    "uv-build": Real(
        "detect-installer",
        "0.2.1",
        "85f889d4d19c1caf5bef89ef389eb920cd8c6c2a868e1eeceec24527b93021e7",
        "detect_installer",
    ),
}
MODULES = {real.name: real.module for real in REAL.values()} | {"gar-publish": "gar_publish"}


def download(real: Real, folder: Path) -> Path:
    """Unpack a project's sdist; which bytes is settled by its hash."""
    index = f"{PyPI.simple_url}/{real.name}/"
    page = requests.get(index, timeout=60)
    page.raise_for_status()
    links = re.findall(r'href="([^"#]+)#sha256=([0-9a-f]{64})"', page.text)
    (link,) = (href for href, sha256 in links if sha256 == real.sha256)
    content = requests.get(urljoin(index, link), timeout=60).content
    assert hashlib.sha256(content).hexdigest() == real.sha256
    archive = folder / real.filename
    archive.write_bytes(content)
    with tarfile.open(archive) as sdist:
        sdist.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


@dataclass(frozen=True)
class Published:
    report: Mapping[str, Any]
    environment: Mapping[str, str]
    line: str
    emulator: Emulator


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, session_env: dict[str, str]) -> Iterator[Published]:
    """Everything published in one run, as a monorepo would be."""
    folder = tmp_path_factory.mktemp("real")
    projects = [download(real, folder).name for real in REAL.values()]
    copy_tree(ROOT, folder / "gar-publish")
    with Emulator(data=tmp_path_factory.mktemp("emulator")) as emulator:
        environment = {**session_env, **emulator.exports()}
        gar_publish = [sys.executable, "-m", "gar_publish.cli"]
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
    """A fresh environment into which real pip installed everything, with the line and nothing but the built bytes."""
    folder = tmp_path_factory.mktemp("fresh") / "environment"
    subprocess.run([sys.executable, "-m", "venv", folder], env=published.environment, check=True)
    python = folder / "bin" / "python"
    pins = folder.with_name("requirements.txt")
    pins.write_text(published.report["requirements-hashed"])
    run = subprocess.run(
        [python, "-m", "pip", "install", "--no-deps", "--require-hashes", "-r", pins, *published.line.split()],
        env=published.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return python


@pytest.mark.parametrize("name", MODULES)
def test_what_is_installed_can_be_imported(fresh: Path, published: Published, name: str) -> None:
    show = f"import {MODULES[name]} as it, importlib.metadata as m; print(m.version({name!r}), it.__file__)"
    shown = subprocess.run(
        [fresh, "-c", show], env=published.environment, cwd="/", capture_output=True, text=True, check=True
    )
    version, file = shown.stdout.split()
    assert f"{name}=={version}" in published.report["requirements"].splitlines()
    assert Path(file).is_relative_to(fresh.parent.parent)


def test_installs_from_the_repository_alone(published: Published, clean_env: dict[str, str], tmp_path: Path) -> None:
    """PyPI has the same names and versions; here only the repository can have been the source."""
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "--python", sys.executable, tmp_path / "fresh"], env=clean_env, check=True)
    before = len(published.emulator.requests)
    run = subprocess.run(
        [sys.executable, "-m", "pip", "--python", tmp_path / "fresh", "install", "--no-deps", "-r", "/dev/stdin"],
        input=f"--index-url {published.line.split()[1]}\n{published.report['requirements']}\n",
        env=clean_env | {"PIP_NO_CACHE_DIR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    downloads = [seen for seen in published.emulator.requests[before:] if seen.path.endswith(".whl")]
    assert len(downloads) == len(MODULES)
