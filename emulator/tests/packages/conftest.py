"""Fixtures for the tests of the Python host."""

from collections.abc import Callable
from pathlib import Path

import pytest

from emulated import Local, make_wheel


@pytest.fixture
def local(start: Callable[..., Local]) -> Local:
    """An emulator with an index of all packages, which shows whether a caller can read."""
    return start(root_index=True)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    return make_wheel(tmp_path, "my-pkg")
