"""Two runs publish the same version at once: one uploads it, and the other compares its file."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from bench.publisher import credentials, publish_here
from gar_emulator import Emulator
from gar_emulator.world.fault import Fault
from gar_publish.context import RetryPolicy
from gar_publish.errors import Conflict
from tests.wheels import make_wheel

ROUNDS = 6


def race(emulator: Emulator, first: Path, second: Path) -> list[str]:
    """Publish both at once, and return the status of each."""
    barrier = Barrier(2)
    credential = credentials(emulator)["oauth"]

    def publish(wheel: Path) -> str:
        barrier.wait()
        report = publish_here(emulator, credential, wheel, RetryPolicy(), lambda _: None)
        (file,) = report.files
        if report.failure:
            assert isinstance(report.failure, Conflict)
            return "different"
        return file.status

    with ThreadPoolExecutor(2) as pool:
        return sorted(pool.map(publish, (first, second)))


@pytest.mark.parametrize(
    ("contents", "outcome"),
    [(("same", "same"), ["identical", "uploaded"]), (("one", "other"), ["different", "uploaded"])],
    ids=["identical", "different"],
)
def test_one_uploads_and_the_other_fails(
    emulator: Emulator, tmp_path: Path, contents: tuple[str, str], outcome: list[str]
) -> None:
    # Neither run sees the other's file before it uploads its own.
    for number in range(ROUNDS):
        emulator.inject(Fault("index", "lag", times=2, seconds=60))
        wheels = [
            make_wheel(tmp_path / str(side), version=f"1.{number}", content=content)
            for side, content in enumerate(contents)
        ]
        assert race(emulator, *wheels) == outcome
        held = emulator.read(wheels[0].name)
        assert held in {wheel.read_bytes() for wheel in wheels}
