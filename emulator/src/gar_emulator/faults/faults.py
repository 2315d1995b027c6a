"""The active faults, and their choice for each request."""

import random
from collections.abc import Iterable
from dataclasses import dataclass

from gar_emulator.world.fault import Fault


class Faults:
    """The active faults, and how often each has struck.

    Args:
        seed: Makes `chance` give the same results in every run with the same order of requests to each endpoint.
    """

    def __init__(self, faults: Iterable[Fault] = (), seed: int | None = None) -> None:
        self._seed = seed
        self._active: list[_Active] = []
        self.replace(faults)

    def replace(self, faults: Iterable[Fault]) -> None:
        """Replace all faults, and start counting again."""
        self._active = [
            _Active(fault, random.Random(None if self._seed is None else f"{self._seed} {number}"))  # noqa: S311 - no secret
            for number, fault in enumerate(faults)
        ]

    def next(self, endpoint: str, path: str = "") -> Fault | None:
        """Count a request, and return the first fault that strikes it."""
        active = [item for item in self._active if item.fault.endpoint == endpoint and path.endswith(item.fault.file)]
        for item in active:
            item.requests += 1
        return next((item.fault for item in active if item.strikes()), None)

    @property
    def struck(self) -> list[tuple[Fault, int]]:
        return [(item.fault, item.struck) for item in self._active]


@dataclass
class _Active:
    fault: Fault
    chances: random.Random
    requests: int = 0
    struck: int = 0

    def strikes(self) -> bool:
        fault = self.fault
        if self.requests <= fault.after or (fault.times and self.struck >= fault.times):
            return False
        if self.chances.random() >= fault.chance:
            return False
        self.struck += 1
        return True
