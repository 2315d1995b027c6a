from collections.abc import Iterator
from pathlib import Path

import pytest

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
