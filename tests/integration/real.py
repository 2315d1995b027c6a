"""Real source distributions on PyPI, pinned by their hashes."""

import hashlib
import re
import tarfile
from collections.abc import Collection
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

import requests
from pip._internal.models.index import PyPI


@dataclass(frozen=True)
class Real:
    """A source distribution on PyPI."""

    name: str
    version: str
    sha256: str
    module: str = ""


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


def download(real: Real, folder: Path) -> Path:
    """Download an sdist, check its hash, and return the folder that it was unpacked to."""
    index = f"{PyPI.simple_url}/{real.name}/"
    page = requests.get(index, timeout=60)
    page.raise_for_status()
    links = re.findall(r'href="([^"#]+)#sha256=([0-9a-f]{64})"', page.text)
    (link,) = (href for href, sha256 in links if sha256 == real.sha256)
    content = requests.get(urljoin(index, link), timeout=60).content
    assert hashlib.sha256(content).hexdigest() == real.sha256
    archive = folder / str(link).rpartition("/")[2]
    archive.write_bytes(content)
    with tarfile.open(archive) as sdist:
        sdist.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


def no_index(_names: Collection[str]) -> "Future[str | None]":
    """Return the private index of builds that have none."""
    none: Future[str | None] = Future()
    none.set_result(None)
    return none
