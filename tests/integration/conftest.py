"""What the integration tests share."""

from pathlib import Path

import pytest

from gar_publish.emulator import Emulator
from tests.integration.frontdoors import Doors


@pytest.fixture
def doors(emulator: Emulator, clean_env: dict[str, str], tmp_path: Path) -> Doors:
    """Both front doors in an empty folder, connected to the emulator."""
    folder = tmp_path / "work"
    folder.mkdir()
    return Doors(folder, {**clean_env, **emulator.exports()})
