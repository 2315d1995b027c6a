"""Where a run happens."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gar_publish.console import Console
from gar_publish.settings.endpoints import Endpoints


@dataclass(frozen=True)
class RetryPolicy:
    """How long to insist: exponential waits with full jitter.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/

    Attributes:
        tries: How many requests at most.
        first: The bound of the first wait in seconds; it doubles with each try.
        longest: The longest wait in seconds. A server may ask for a longer one, up to 60 (`Retry-After`).
        total: Seconds after which no further try is started, but for the first `least`: one upload alone may take
            longer. The last try may take its `timeouts` beyond them.
        least: How many tries there are in any case.
        timeouts: Seconds for a connection, and for the next bytes of an answer.
        sleep: Waits for a number of seconds.
        clock: Seconds since some fixed point.
    """

    tries: int = 6
    first: float = 1.0
    longest: float = 20.0
    total: float = 120.0
    least: int = 3
    timeouts: tuple[float, float] = (10.0, 90.0)
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True)
class Context:
    """Where a run happens.

    Attributes:
        workspace: The folder that `packages` and `dist` start from.
        environment: The environment's variables.
        endpoints: Google's hosts, or the emulator's.
        console: Who watches.
        retry_policy: How long servers are asked again.
        container: Whether the run has a container to itself, where a build must never run as root.
        settled: Called as soon as nothing can change the outcome: from then on, nothing may keep it from being told.
    """

    workspace: Path
    environment: Mapping[str, str]
    endpoints: Endpoints
    console: Console
    retry_policy: RetryPolicy
    container: bool = False
    settled: Callable[[], None] = lambda: None
