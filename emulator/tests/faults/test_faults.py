import math
from collections.abc import Callable

import pytest

from gar_emulator.faults.faults import Faults
from gar_emulator.faults.wire import _STRIKES
from gar_emulator.world.fault import FAULTS, Fault


def struck(faults: Faults, requests: int, endpoint: str = "upload") -> list[str]:
    """Return the fault of each of some consecutive requests, and a dot for none."""
    return [fault.fault if (fault := faults.next(endpoint)) else "." for _ in range(requests)]


def test_every_fault_has_a_handler() -> None:
    assert tuple(_STRIKES) == FAULTS


def test_strikes_once_by_default() -> None:
    assert struck(Faults([Fault("upload", "503")]), 3) == ["503", ".", "."]
    assert struck(Faults([Fault("upload", "503", times=0)]), 3) == ["503", "503", "503"]


def test_after_skips_the_first_requests_to_the_endpoint() -> None:
    faults = Faults([Fault("upload", "503", after=2, times=2)])
    assert struck(faults, 5, "index") == ["."] * 5
    assert struck(faults, 5) == [".", ".", "503", "503", "."]


def test_faults_of_one_endpoint_strike_in_order() -> None:
    faults = Faults([Fault("upload", "503"), Fault("upload", "refused", times=2), Fault("upload", "500", after=4)])
    assert struck(faults, 6) == ["503", "refused", "refused", ".", "500", "."]
    assert [times for _, times in faults.struck] == [1, 2, 1]


def test_seed_makes_chance_repeatable_for_each_endpoint() -> None:
    declared = [Fault(endpoint, "503", times=0, chance=0.3) for endpoint in ("upload", "index")]
    expected = struck(Faults(declared, seed=1), 200)
    mixed = Faults(declared, seed=1)
    assert [(struck(mixed, 1), struck(mixed, 1, "index"))[0][0] for _ in range(200)] == expected
    assert 30 < expected.count("503") < 90
    assert struck(Faults(declared, seed=2), 200) != expected
    assert struck(Faults(declared), 200) != struck(Faults(declared), 200)


def test_chance_of_0_and_1() -> None:
    assert struck(Faults([Fault("upload", "503", chance=0.0, times=0)]), 50) == ["."] * 50
    assert struck(Faults([Fault("upload", "503", chance=1.0, times=0)]), 50) == ["503"] * 50


def test_replace_restarts_the_count() -> None:
    faults = Faults([Fault("upload", "503")])
    struck(faults, 2)
    faults.replace([Fault("upload", "503")])
    assert faults.struck == [(Fault("upload", "503"), 0)]
    assert struck(faults, 2) == ["503", "."]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Fault("uplod", "503"), "endpoint must be one of github, .*, not 'uplod'"),
        (lambda: Fault("upload", "418"), "fault must be one of refused, .*, not '418'"),
        (lambda: Fault("upload", "503", after=-1), "after and times"),
        (lambda: Fault("upload", "503", times=-1), "after and times"),
        (lambda: Fault("upload", "503", chance=1.1), "chance must be between 0 and 1"),
        (lambda: Fault("upload", "503", chance=math.nan), "chance must be between 0 and 1"),
        (lambda: Fault("upload", "503", seconds=-1), "seconds must be 0 or more"),
        (lambda: Fault("upload", "503", seconds=math.inf), "seconds must be at most"),
        (lambda: Fault("upload", "skew", seconds=-1e10), "seconds must be at most"),
        (lambda: Fault("upload", "skew"), "seconds must be set for skew"),
        (lambda: Fault("index", "lag"), "seconds must be set for lag"),
        (lambda: Fault("sts", "lag", seconds=1), "lag exists for index and download only"),
        (lambda: Fault("index", "503", file="a.whl"), "file can be set for the endpoints download and redirected"),
        (lambda: Fault("index", "403-reset"), "403-reset exists for upload only"),
    ],
)
def test_invalid_fault(make: Callable[[], Fault], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()
