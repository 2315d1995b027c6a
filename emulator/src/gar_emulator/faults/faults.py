"""Which requests go wrong, and how: declared in the world file, by the admin call, or from Python."""

import math
import random
from collections.abc import Iterable
from dataclasses import dataclass

ENDPOINTS = ("github", "sts", "iamcredentials", "oauth", "metadata", "repository", "upload", "index", "download")
FAULTS = (
    "refused",
    "reset-before-body",
    "reset-after-body",
    "silence",
    "drip",
    "401",
    "408",
    "429",
    "500",
    "502",
    "503",
    "504",
    "cut-body",
    "garbage-body",
    "wrong-content-type",
    "accepted-5xx",
    "accepted-lost",
    "lag",
    "skew",
)
LONGEST = 1e9
"""Seconds: some thirty years, so that no date leaves the calendar."""


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong with requests to one endpoint; `docs/emulator.md` explains each.

    Attributes:
        endpoint: One of `ENDPOINTS`: `repository` is the Artifact Registry API; `upload`, `index` and `download` are
            the Python host's.
        fault: One of `FAULTS`.
        after: How many requests to the endpoint are spared first.
        times: How often it strikes; 0 for ever.
        chance: How likely it strikes a request that it may strike.
        seconds: How long, for the faults that take time; 0 for their usual.

    Raises:
        ValueError: There is no such fault.
    """

    endpoint: str
    fault: str
    after: int = 0
    times: int = 1
    chance: float = 1.0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.endpoint not in ENDPOINTS:
            raise ValueError(f"endpoint must be one of {', '.join(ENDPOINTS)}, not {self.endpoint!r}")
        if self.fault not in FAULTS:
            raise ValueError(f"fault must be one of {', '.join(FAULTS)}, not {self.fault!r}")
        if self.after < 0 or self.times < 0:
            raise ValueError("after and times must be 0 or more")
        if not 0 <= self.chance <= 1:
            raise ValueError(f"chance must be between 0 and 1, not {self.chance}")
        if not math.isfinite(self.seconds) or abs(self.seconds) > LONGEST:
            raise ValueError(f"seconds must be at most {LONGEST:.0f}, not {self.seconds}")
        if self.seconds < 0 and self.fault != "skew":
            raise ValueError("seconds must be 0 or more, for every fault but skew")
        if self.seconds == 0 and self.fault in {"lag", "skew"}:
            raise ValueError(f"seconds must say how large the {self.fault} is")
        if self.fault == "lag" and self.endpoint not in {"index", "download"}:
            raise ValueError("lag is for the endpoints index and download")


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
