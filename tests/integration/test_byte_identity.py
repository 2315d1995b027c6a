"""Real projects, built by gar-publish in new processes and in forks of a template, and by `python -m build`."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gar_publish.builder import isolated, sandbox
from gar_publish.builder.builds import building
from gar_publish.builder.templates import Kind, Template, Templates
from gar_publish.context import new_context
from gar_publish.projects import find
from tests.integration.real import REAL, Real, download, no_index
from tests.recording import RecordingConsole

FORKED = ("a", "b")
"""Every project is built in two folders in forks of a template: what the first fork does must not change the second."""
FRESH = "c"
BACKENDS = {
    "flit_core.buildapi",
    "hatchling.build",
    "pdm.backend",
    "poetry.core.masonry.api",
    "setuptools.build_meta",
    "setuptools.build_meta:__legacy__",
}
MORE = [
    Real("cfgv", "3.5.0", "d5b1034354820651caa73ede66a6294d6e95c1b00acc5e9b098e917404669132"),
    Real("colorama", "0.4.6", "08695f5cb7ed6e0531a20572697297273c47b8cae5a63ffc6d6ed5c201be6e44"),
    Real("typing-inspection", "0.4.5", "7f16c411e7930dc79596d42ab44672a3fe5f60eb34b781a1647e7872363120c7"),
    Real("idna", "3.20", "a7db850025b95ded1eae8a46181a1a6c56c92c96f0e2b005d9ff8dc0210cab44"),
    Real("pyproject-hooks", "1.3.3", "defda19b854fa0d3bd4f76ea4ddcba8abd7dcfcdd585a6690ade050744fc5f43"),
    Real("typing-extensions", "4.16.0", "dc983d19a509c94dba722ee6abd33940f7c05a89e243c47e907eb4db6f1a43e5"),
    Real("tomlkit", "0.15.2", "83e32755ba1d20d9340bd069ee97e9f6232ba2346b63ffcba425de01f7e327a6"),
    Real("pastel", "0.2.1", "e6581ac04e973cac858828c6202c1e1e81fee1dc7de7683f3e1ffe0bfd8a573d"),
    Real("backoff", "2.2.1", "03f829f5bb1923180821643f8753b0502c3b682293992485b0eef2807afa5cba"),
    Real("dep-logic", "0.7.2", "2a3c49526075b0bc6825f0ea8c2d9f464de48b7b85f3f3d2900b4e5950fefedf"),
    Real("findpython", "0.9.0", "497c6b5eb13734be2542dfb6a93267946339601cbc2f1138c8cd4d40311fefe5"),
]
PROJECTS = {real.name: real for real in (*(each for kind, each in REAL.items() if kind != "uv-build"), *MORE)}


@dataclass
class Compared:
    """The hash of each wheel, by project and folder; and the backends that had a template."""

    ours: dict[tuple[str, str], str] = field(default_factory=dict)
    reference: dict[str, str] = field(default_factory=dict)
    forked: set[str] = field(default_factory=set)


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory, session_env: dict[str, str]) -> Compared:
    folder = tmp_path_factory.mktemp("identity")
    environment = {**session_env, "SOURCE_DATE_EPOCH": "1700000000"}
    compared = Compared()
    with ThreadPoolExecutor(max_workers=2) as pool:
        trees = dict(zip(PROJECTS, pool.map(lambda real: download(real, folder), PROJECTS.values()), strict=True))
        for name, tree in trees.items():
            for twin in (*FORKED, FRESH):
                shutil.copytree(tree, folder / twin / name)
        compared.reference = dict(
            zip(trees, pool.map(lambda tree: reference(tree, environment), trees.values()), strict=True)
        )
    one = Templates.one

    def see_what_is_forked(templates: Templates, kind: Kind) -> AbstractContextManager[Template]:
        compared.forked.add(kind.backend)
        return one(templates, kind)

    def build(*twins: str) -> None:
        found = [project for twin in twins for project in find.find([f"{twin}/*"], folder)]
        out = tmp_path_factory.mktemp("out")
        context = new_context(environment, RecordingConsole(), workspace=folder)
        with building(found, formats={"wheel"}, out=out, context=context, private_index=no_index) as builds:
            for built in builds:
                assert built.failure is None
                (wheel,) = built.files
                compared.ours[built.project.folder.name, built.project.folder.parent.name] = sha256(wheel)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(isolated, "open_sandboxes", in_place)
        patch.setattr(Templates, "one", see_what_is_forked)
        build(*FORKED)
        patch.setattr(Templates, "one", None)
        patch.setattr(sandbox, "has_template", lambda _backend: False)
        build(FRESH)
    return compared


@contextmanager
def in_place(*_: Any) -> Iterator[None]:
    """Build as root, too: outside of the image, only an ordinary user's builds have templates."""
    yield None


def reference(tree: Path, environment: Mapping[str, str]) -> str:
    command: list[str | Path] = [sys.executable, "-m", "build", "--wheel", "--installer", "uv", tree]
    uv = Path(sys.executable).parent
    path = {"PATH": f"{uv}:{environment['PATH']}"}
    subprocess.run(command, env={**environment, **path}, check=True, capture_output=True)
    (wheel,) = (tree / "dist").iterdir()
    return sha256(wheel)


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_every_backend_that_can_be_forked_is(compared: Compared) -> None:
    assert compared.forked == BACKENDS
    assert len(compared.reference) == 20


@pytest.mark.parametrize("name", PROJECTS)
def test_the_wheels_are_identical(compared: Compared, name: str) -> None:
    assert [compared.ours[name, twin] for twin in (*FORKED, FRESH)] == [compared.reference[name]] * 3
