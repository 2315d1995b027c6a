"""The declaration of a fault."""

import math
from dataclasses import dataclass

ENDPOINTS = (
    "github",
    "sts",
    "iamcredentials",
    "oauth",
    "metadata",
    "repository",
    "upload",
    "index",
    "download",
    "redirected",
)
FAULTS = (
    "refused",
    "reset-before-body",
    "reset-after-body",
    "silence",
    "drip",
    "401",
    "403",
    "404",
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
    "403-closed",
    "403-reset",
    "lag",
    "skew",
    "token-ended",
)
_PLACES = {"lag": ("index", "download"), "403-closed": ("upload",), "403-reset": ("upload",)}
"""The endpoints of the faults that not every endpoint can have."""

LONGEST = 1e9
"""Seconds: about thirty years, so that every date stays valid."""


@dataclass(frozen=True)
class Fault:
    """A fault that strikes requests to one endpoint; `docs/emulator.md` explains each.

    Attributes:
        endpoint: One of `ENDPOINTS`: `repository` is the Artifact Registry API; `upload`, `index` and `download` are
            the Python host's; `redirected` is the address that downloads are redirected to.
        fault: One of `FAULTS`.
        after: How many requests to the endpoint come first without a fault.
        times: How often it strikes; 0 = always.
        chance: The probability that it strikes.
        seconds: The duration, for faults that have one; 0 = the default.
        file: The name of the only file that it strikes, for `download` and `redirected`; empty = all.

    Raises:
        ValueError: A value is out of range.
    """

    endpoint: str
    fault: str
    after: int = 0
    times: int = 1
    chance: float = 1.0
    seconds: float = 0.0
    file: str = ""

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
            raise ValueError(f"seconds must be set for {self.fault}")
        places = _PLACES.get(self.fault, ENDPOINTS)
        if self.endpoint not in places:
            raise ValueError(f"{self.fault} exists for {' and '.join(places)} only")
        if self.file and self.endpoint not in {"download", "redirected"}:
            raise ValueError("file can be set for the endpoints download and redirected only")
