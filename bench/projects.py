"""Write small, ordinary projects."""

import importlib.metadata
from pathlib import Path


def _uv_build() -> str:
    """Return a requirement like that of `uv init`, for the minor version of the locked uv."""
    major, minor, _ = importlib.metadata.version("uv").split(".")
    return f'"uv_build>={major}.{minor},<{major}.{int(minor) + 1}"'


BACKENDS = {
    "hatchling": ('"hatchling"', "hatchling.build"),
    "setuptools": ('"setuptools>=77"', "setuptools.build_meta"),
    "flit-core": ('"flit_core>=3.12"', "flit_core.buildapi"),
    "poetry-core": ('"poetry-core>=2.0.0,<3.0.0"', "poetry.core.masonry.api"),
    "pdm-backend": ('"pdm-backend"', "pdm.backend"),
    "uv_build": (_uv_build(), "uv_build"),
}
"""The build requirement and the module of each backend, as its own tool writes them into a new project."""

_PROJECT = """[build-system]
requires = [{requires}]
build-backend = "{backend}"

[project]
name = "{name}"
version = "{version}"
description = "A small package."
readme = "README.md"
requires-python = ">=3.11"
authors = [{{ name = "Octocat", email = "octocat@example.org" }}]
"""

_CODE = '''"""A small package."""


def hello(name: str = "world") -> str:
    """Return a greeting."""
    return f"Hello, {name}!"
'''


def write(folder: Path, name: str, version: str, backend: str = "hatchling", modules: int = 0) -> Path:
    """Write a project of three files and more modules, and return its folder."""
    requires, module = BACKENDS[backend]
    package = folder / "src" / name.replace("-", "_")
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(_CODE)
    (folder / "README.md").write_text(f"# {name}\n\nA small package.\n")
    (folder / "pyproject.toml").write_text(
        _PROJECT.format(requires=requires, backend=module, name=name, version=version)
    )
    for number in range(modules):
        (package / f"module_{number}.py").write_text(_CODE)
    return folder


def write_workspace(folder: Path, count: int, version: str) -> Path:
    """Write a uv workspace with `count` hatchling projects below `packages`, and return its folder."""
    for number in range(count):
        write(folder / "packages" / part(number), part(number), version)
    (folder / "pyproject.toml").write_text('[tool.uv.workspace]\nmembers = ["packages/*"]\n')
    return folder


def part(number: int) -> str:
    """Return the name of a package of the workspace."""
    return f"part-{number:03}"
