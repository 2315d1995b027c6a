"""Publish many times with random faults everywhere: `python -m bench.soak --publishes 1000 --fault-rate 0.05`."""

import argparse
import itertools
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench.publisher import Credential, credentials, publish_here
from gar_emulator import Emulator
from gar_emulator.world.fault import ENDPOINTS, FAULTS, Fault
from gar_publish.context import RetryPolicy
from gar_publish.errors import Failure
from tests.wheels import make_wheel

AT_ONCE = 4
HASTE = 20
"""The factor by which waits and slow faults are shortened."""

_SECONDS = {"refused": 0.02, "drip": 0.02, "lag": 0.2, "skew": 5.0}
_REFUSALS = {"401", "403", "404", "403-closed", "403-reset", "token-ended"}
"""Not injected, because a repeated 401, or one of a token service, correctly ends a run."""


@dataclass(frozen=True)
class Soak:
    """Publishes wheels with different names in parallel."""

    emulator: Emulator
    folder: Path

    def publish(self, number: int, credential: Credential) -> list[str]:
        """Publish one wheel.

        Returns:
            The problems found afterwards.
        """
        wheel = make_wheel(self.folder, f"soak-{number}", content=f"x = {number}\n" * (10 ** (number % 5)))
        retry_policy = RetryPolicy(timeouts=(2.0, 1.0), sleep=lambda seconds: time.sleep(seconds / HASTE))
        try:
            report = publish_here(self.emulator, credential, wheel, retry_policy, lambda _: None)
        except Failure as failure:
            return [f"{wheel.name}: {failure.explain()}"]
        if report.failure:
            return [f"{wheel.name}: {report.failure.explain()}"]
        if [each.status for each in report.files] != ["uploaded"]:
            return [f"{wheel.name} is reported as {report.files[0].status}"]
        if self.emulator.read(wheel.name) != wheel.read_bytes():
            return [f"{wheel.name}: different contents"]
        return []


def faults(rate: float) -> list[Fault]:
    """Return every fault that a run survives, for every endpoint. Each request has a fault with this probability."""
    kinds = {
        endpoint: [
            kind for kind in FAULTS if kind not in _REFUSALS and (kind != "lag" or endpoint in {"index", "download"})
        ]
        for endpoint in ENDPOINTS
    }
    return [
        Fault(endpoint, kind, times=0, chance=rate / len(kinds[endpoint]), seconds=_SECONDS.get(kind, 0.0))
        for endpoint in ENDPOINTS
        for kind in kinds[endpoint]
    ]


def soak(publishes: int, rate: float, seed: int, folder: Path) -> tuple[int, int, int, int]:
    """Publish many times with random faults.

    Returns:
        The numbers of published, lost and doubled files, and of faults that occurred.
    """
    with Emulator(data=folder / "emulator", seed=seed) as emulator, ThreadPoolExecutor(AT_ONCE) as pool:
        kinds = itertools.cycle(credentials(emulator).values())
        emulator.inject(*faults(rate))
        running = Soak(emulator, folder / "wheels")
        problems = list(pool.map(running.publish, range(publishes), itertools.islice(kinds, publishes)))
        for problem in itertools.chain(*problems):
            print(problem)
        stored = Counter(each.package for each in emulator.files())
        struck = sum(emulator.struck.values())
    lost = sum(bool(each) for each in problems)
    return publishes - lost, lost, sum(count - 1 for count in stored.values()), struck


def main() -> int:
    """Publish, and print the counts.

    Returns:
        1 if anything was lost or doubled.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--publishes", type=int, default=1000)
    parser.add_argument("--fault-rate", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gar-publish-bench-") as scratch:
        published, lost, doubled, struck = soak(options.publishes, options.fault_rate, options.seed, Path(scratch))
    print(f"{struck} faults struck")
    print(f"{published} of {options.publishes} published, {lost} lost, {doubled} doubled")
    return int(bool(lost or doubled))


if __name__ == "__main__":
    sys.exit(main())
