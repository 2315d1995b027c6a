import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gar_publish.builder.environment import Environment, make
from gar_publish.builder.process import Works
from gar_publish.builder.sandbox import Sandbox
from gar_publish.builder.templates import Templates
from tests.unit.builder.hooks import BACKEND, Call, caller
from tests.unit.builder.indexes import Index
from tests.wheels import make_wheel


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    """An index with a valid wheel of the package `sample`."""
    with Index(tmp_path / "index", make_wheel(tmp_path / "wheels", "sample")) as running:
        yield running


@pytest.fixture
def variables(clean_env: dict[str, str], tmp_path: Path) -> dict[str, str]:
    return {**clean_env, "UV_CACHE_DIR": str(tmp_path / "cache"), "UV_HTTP_RETRIES": "0"}


@pytest.fixture
def said() -> list[str]:
    """The lines that hooks and programs print."""
    return []


@pytest.fixture
def works() -> Works:
    return Works()


@pytest.fixture
def templates(clean_env: dict[str, str]) -> Iterator[Templates]:
    templates = Templates(clean_env)
    yield templates
    templates.close()


@pytest.fixture
def new_sandbox(
    tmp_path: Path, clean_env: dict[str, str], works: Works, templates: Templates
) -> Callable[[str], Sandbox]:
    """Return a function that makes a sandbox in place, of the project in the folder with a name."""

    def new_sandbox(name: str) -> Sandbox:
        scratch = tmp_path / f"scratch-of-{name}"
        scratch.mkdir()
        (tmp_path / name).mkdir()
        return Sandbox(tmp_path / name, scratch, clean_env, works, templates)

    return new_sandbox


@pytest.fixture
def sandbox(new_sandbox: Callable[[str], Sandbox]) -> Sandbox:
    return new_sandbox("tree")


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """An environment with a backend under two names: one that has a template, and another."""
    environment = Environment(tmp_path / "environment", os.environ["PATH"], is_trusted=True)
    make(environment.folder)
    text = f"LOG = {str(tmp_path / 'log')!r}\n{BACKEND}"
    (environment.site / "hatchling").mkdir()
    (environment.site / "hatchling/__init__.py").touch()
    (environment.site / "hatchling/build.py").write_text(text)
    (environment.site / "other.py").write_text(text)
    return environment


@pytest.fixture
def call(sandbox: Sandbox, environment: Environment, tmp_path: Path, said: list[str]) -> Call:
    return caller(sandbox, environment, tmp_path / "control", said)
