"""Which request meets which fault."""

import random
from collections.abc import Iterable
from dataclasses import dataclass

from gar_emulator.world.fault import Fault


class Faults:
    """The faults that are in force, and how often each has struck.

    Args:
        seed: Makes the draws of `chance` the same in every run that asks each endpoint in the same order.
    """

    def __init__(self, faults: Iterable[Fault] = (), seed: int | None = None) -> None:
        self._seed = seed
        self._armed: list[_Armed] = []
        self.replace(faults)

    def replace(self, faults: Iterable[Fault]) -> None:
        """Put these in force, in place of all others, and count from here."""
        self._armed = [
            _Armed(fault, random.Random(None if self._seed is None else f"{self._seed} {number}"))  # noqa: S311 - no secret
            for number, fault in enumerate(faults)
        ]

    def next(self, endpoint: str) -> Fault | None:
        """Count a request, and find the fault that strikes it: the first in order that may."""
        armed = [item for item in self._armed if item.fault.endpoint == endpoint]
        for item in armed:
            item.asked += 1
        return next((item.fault for item in armed if item.strikes()), None)

    @property
    def struck(self) -> list[tuple[Fault, int]]:
        return [(item.fault, item.struck) for item in self._armed]


@dataclass
class _Armed:
    fault: Fault
    chances: random.Random
    asked: int = 0
    struck: int = 0

    def strikes(self) -> bool:
        fault = self.fault
        if self.asked <= fault.after or (fault.times and self.struck >= fault.times):
            return False
        if self.chances.random() >= fault.chance:
            return False
        self.struck += 1
        return True
