"""Build a project with each backend of the image. It runs inside the image, without a network."""

import subprocess
import tempfile
from importlib.metadata import distributions
from pathlib import Path

from build import ProjectBuilder
from packaging.requirements import Requirement

from gar_publish.builder import image_backends

BACKENDS = (
    ("flit_core.buildapi", ["flit_core>=3.2,<5"]),
    ("hatchling.build", ["hatchling"]),
    ("hatchling.build", ["hatchling", "hatch-vcs"]),
    ("pdm.backend", ["pdm-backend"]),
    ("poetry.core.masonry.api", ["poetry-core>=2"]),
    ("setuptools.build_meta", ["setuptools>=61"]),
    ("setuptools.build_meta", ["setuptools", "wheel", "setuptools-scm[toml]>=8"]),
)


def build(backend: str, requires: list[str], folder: Path) -> None:
    chosen = image_backends.choose([Requirement(each) for each in requires])
    assert chosen, requires
    image_backends.link(chosen, folder / "environment")
    (folder / "hello.py").write_text('"""Hello."""\n')
    (folder / "pyproject.toml").write_text(
        f"[build-system]\nrequires = {requires}\nbuild-backend = '{backend}'\n"
        "[project]\nname = 'hello'\nversion = '1.0'\ndescription = 'Hello.'\nrequires-python = '>=3.11'\n"
        "[tool.hatch.build.targets.wheel]\nonly-include = ['hello.py']\n"
        "[tool.setuptools]\npy-modules = ['hello']\n"
    )
    python = folder / "environment" / "bin" / "python"
    builder = ProjectBuilder(folder, python_executable=str(python))
    assert not builder.get_requires_for_build("wheel")
    built = Path(builder.build("wheel", folder / "dist")).name
    assert built == "hello-1.0-py3-none-any.whl", built
    imported = f"import {backend} as backend; print(backend.__spec__.origin)"
    origin = subprocess.run([python, "-c", imported], check=True, capture_output=True, text=True).stdout
    assert origin.startswith(str(folder)), origin
    assert origin.endswith(".pyc\n"), origin


for each in distributions(path=[str(image_backends.BACKENDS)]):
    assert image_backends.choose([Requirement(each.name)]), each.name
for backend, requires in BACKENDS:
    with tempfile.TemporaryDirectory() as folder:
        build(backend, requires, Path(folder))
