"""Real projects, built by gar-publish in new processes and in forks of a template, and by `python -m build`."""

import hashlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bench.corpus.projects import projects
from gar_publish.builder import isolated, sandbox
from gar_publish.builder.builds import building
from gar_publish.builder.templates import Kind, Template, Templates
from gar_publish.context import new_context
from gar_publish.projects import find
from tests.recording import RecordingConsole
from tests.unit.builder.indexes import no_index

FORKED = ("a", "b")
"""Every project is built in two folders in forks of a template: what the first fork does must not change the second."""
FRESH = "c"
REFERENCE = "reference"
BACKENDS = {
    "flit_core.buildapi",
    "hatchling.build",
    "pdm.backend",
    "poetry.core.masonry.api",
    "setuptools.build_meta",
    "setuptools.build_meta:__legacy__",
}
NAMES = {
    "annotated-doc",
    "annotated-types",
    "crashtest",
    "decorator",
    "detect-installer",
    "mdurl",
    "six",
}
CHECKOUTS = {"exceptiongroup", "zipp"}
"""Projects whose versions come from git."""
PROJECTS = {
    each.label: each
    for each in projects()
    if each.sdist.name in {"sdist": NAMES, "checkout": CHECKOUTS, "subfolder": set()}[each.kind]
}


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
    downloads = tmp_path_factory.mktemp("downloads")
    labels = {}
    for twin in (REFERENCE, *FORKED, FRESH):
        for label, project in PROJECTS.items():
            (folder / twin / project.kind).mkdir(parents=True, exist_ok=True)
            labels[project.lay(downloads, folder / twin / project.kind)] = label
    with ThreadPoolExecutor(max_workers=2) as pool:
        trees = [tree for tree in labels if tree.is_relative_to(folder / REFERENCE)]
        hashes = pool.map(lambda tree: reference(tree, environment), trees)
        compared.reference = {labels[tree]: each for tree, each in zip(trees, hashes, strict=True)}
    one = Templates.one

    def see_what_is_forked(templates: Templates, kind: Kind) -> AbstractContextManager[Template]:
        compared.forked.add(kind.backend)
        return one(templates, kind)

    def build(*twins: str) -> None:
        found = [project for twin in twins for project in find.find([f"{twin}/*/*"], folder)]
        out = tmp_path_factory.mktemp("out")
        context = new_context(environment, RecordingConsole(), workspace=folder)
        with building(found, formats={"wheel"}, out=out, context=context, private_index=no_index) as builds:
            for built in builds:
                assert built.failure is None
                (wheel,) = built.files
                tree = built.project.folder
                compared.ours[labels[tree], tree.relative_to(folder).parts[0]] = sha256(wheel)

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
    assert len(compared.reference) == 9


@pytest.mark.parametrize("name", PROJECTS)
def test_the_wheels_are_identical(compared: Compared, name: str) -> None:
    assert [compared.ours[name, twin] for twin in (*FORKED, FRESH)] == [compared.reference[name]] * 3
