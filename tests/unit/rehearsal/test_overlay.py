"""The index of a run's files."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gar_publish.distributions import distribution
from gar_publish.rehearsal import overlay
from tests.wheels import make_wheel


@pytest.fixture
def _closed_umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.mark.usefixtures("_closed_umask")
def test_every_user_can_read_it(tmp_path: Path) -> None:
    overlay.write(tmp_path / "index", [distribution.read(make_wheel(tmp_path))], {})
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "index", *(tmp_path / "index").rglob("*"))}
    assert modes == {0o755, 0o644}
