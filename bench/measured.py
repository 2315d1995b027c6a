"""Everything that was measured, by the titles of the tables and the names of the cases."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.measure import Summary

FAR = "One small package, round trips of 80 ms"
NEAR = "One small package, round trips of 10 ms"
SMALL_IN_CONTAINERS = "One small package in containers"
FIFTY = "50 small packages"
SCALE = "gar-publish, by the number of packages"
FIFTY_IN_CONTAINERS = "50 small packages in containers"
START = "The start of a container"
IMAGE_SIZE = "The size of the image"
SIZES = "One package with something large"
SIZES_IN_CONTAINERS = "One package with something large, in containers"

IN_CONTAINERS = (SMALL_IN_CONTAINERS, FIFTY_IN_CONTAINERS, START, IMAGE_SIZE, SIZES_IN_CONTAINERS)
"""What needs a Docker engine."""

Table = Mapping[str, Summary]


@dataclass(frozen=True)
class Size:
    """The bytes that an image adds to its base, plain and compressed."""

    plain: int
    compressed: int


@dataclass
class Measured:
    """All measurements.

    Attributes:
        tables: The results of the cases, by table. The table of a real repository has its name.
        failed: The names of the cases that failed, by table.
        missing: Why a table, or a part of it, was not measured.
        packages: The number of packages of each real repository.
        size: The size of the image.
        environment_made: Whether uv ran although nothing was new.
    """

    tables: dict[str, Table] = field(default_factory=dict)
    failed: dict[str, list[str]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    packages: dict[str, int] = field(default_factory=dict)
    size: Size | None = None
    environment_made: bool = False
