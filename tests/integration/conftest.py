"""Fixtures for the integration tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gar_emulator import Emulator, World
from tests.integration.frontdoors import Doors
from tests.integration.laptop import laptop, public_index
from tests.proxy import proxy_to
from tests.wheels import make_wheel

__all__ = ["laptop", "public_index"]


@pytest.fixture
def doors(emulator: Emulator, clean_env: dict[str, str], tmp_path: Path) -> Doors:
    """Return the command and the action, in an empty folder and connected to the emulator."""
    folder = tmp_path / "work"
    folder.mkdir()
    return Doors(folder, {**clean_env, **emulator.exports()})


@pytest.fixture
def hello(doors: Doors) -> Doors:
    """Return `doors` with one wheel in `dist`."""
    make_wheel(doors.folder / "dist", "hello")
    return doors


@pytest.fixture
def world() -> World:
    return World.default()


@pytest.fixture
def production(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator(world, data=tmp_path_factory.mktemp("tls"), tls=True, production_names=True) as running:
        yield running


@pytest.fixture
def connected() -> set[str]:
    """Return a set. The proxy adds the hosts that clients ask for."""
    return set()


@pytest.fixture
def proxy(production: Emulator, connected: set[str]) -> Iterator[str]:
    """Yield the URL of a proxy that connects every host name to the emulator."""
    with proxy_to(int(production.url.rpartition(":")[2]), connected) as url:
        yield url
