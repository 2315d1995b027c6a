from datetime import UTC, datetime

import pytest

from gar_publish.units import human_size, rfc3339


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2_000_000_000, "2.0 GB"), (None, "-")]
)
def test_sizes_for_people(size: int | None, text: str) -> None:
    assert human_size(size) == text


def test_moments_for_machines() -> None:
    assert rfc3339(datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)) == "2026-01-02T03:04:05Z"
    assert rfc3339(None) == ""
