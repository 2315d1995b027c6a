"""Emulators for unit tests, with a clock that only the test moves."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from emulated import Clock, Local, few_keys, make_wheel
from gar_emulator import Emulator, World
from gar_emulator.world.iam import Binding


@pytest.fixture(scope="session", autouse=True)
def _few_keys() -> Iterator[None]:
    with few_keys():
        yield


@pytest.fixture
def clock() -> Clock:
    return Clock(time.time())


@pytest.fixture
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def start(data: Path, clock: Clock) -> Iterator[Callable[..., Local]]:
    """Return a function that starts an emulator: `start(world, switch=value, …)`."""
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
    """Start an emulator with the default world."""
    return start()


@pytest.fixture
def default() -> World:
    return World.default()


@pytest.fixture
def start_with(start: Callable[..., Local], default: World) -> Callable[[str, str], Local]:
    """Return a function that starts an emulator in which a member has a role on the project."""

    def start_with(member: str, role: str) -> Local:
        binding = Binding(member, role, "projects/demo-project")
        return start(replace(default, bindings=(*default.bindings, binding)))

    return start_with


@pytest.fixture
def wheels(local: Local, tmp_path: Path) -> list[Path]:
    """Upload three versions of two packages."""
    made = [
        make_wheel(tmp_path, "my-pkg", "1.0"),
        make_wheel(tmp_path, "my-pkg", "1.0+local"),
        make_wheel(tmp_path, "other", "2.0"),
    ]
    for wheel in made:
        assert local.upload(wheel, local.token()).status_code == 200
    return made
