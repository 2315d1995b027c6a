"""Emulators for unit tests: a clock that the test moves."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from gar_publish.emulator import Emulator, World
from tests.unit.emulator.local import Clock, Local


@pytest.fixture
def clock() -> Clock:
    return Clock(time.time())


@pytest.fixture
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def start(data: Path, clock: Clock) -> Iterator[Callable[..., Local]]:
    """Starts an emulator: `start(world, switch=value, …)`."""
    with ExitStack() as stack:

        def start(world: World | None = None, **switches: object) -> Local:
            emulator = stack.enter_context(Emulator(world, data=data, clock=clock))
            emulator.cloud.switch(**switches)
            session = stack.enter_context(requests.Session())
            session.trust_env = False
            return Local(emulator, session)

        yield start


@pytest.fixture
def local(start: Callable[..., Local]) -> Local:
    """The default world."""
    return start()


@pytest.fixture
def default() -> World:
    return World.default()
