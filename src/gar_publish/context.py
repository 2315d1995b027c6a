"""Where a run happens, and how long it waits for servers."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from gar_publish.console import Console
from gar_publish.process import ignore_signals
from gar_publish.settings.endpoints import EMULATOR_VARIABLE, Endpoints


@dataclass(frozen=True)
class RetryPolicy:
    """How often a request is tried, and how long: exponential waits with full jitter.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/

    Attributes:
        tries: The most tries.
        first: The bound of the first wait in seconds; it doubles with each try.
        longest: The longest wait in seconds. A server may ask for a longer one, up to 60 (`Retry-After`).
        total: Seconds after which no try begins, except for the first `least`: one upload may take longer.
        least: The fewest tries.
        timeouts: Seconds for a connection, and for the next bytes of an answer.
        sleep: Waits for a number of seconds.
        clock: Returns seconds since some fixed point.
    """

    tries: int = 6
    first: float = 1.0
    longest: float = 20.0
    total: float = 120.0
    least: int = 3
    timeouts: tuple[float, float] = (10.0, 90.0)
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def for_doctor(self) -> "RetryPolicy":
        """Return a policy that gives up sooner: something is wrong already where the doctor runs."""
        return replace(self, tries=2, first=0.2, longest=1.0, total=15.0, least=1, timeouts=(5.0, 10.0))

    def for_metadata_server(self) -> "RetryPolicy":
        """Return a policy with short waits, for a server that is on this machine's network or does not exist."""
        return replace(self, longest=1.0)


LAG_WAITS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds between tries while a server does not know yet what another already knows: about 30 in all."""

OPERATION_WAITS = (*LAG_WAITS, 30.0)
"""Seconds between looks at a long-running operation: a minute in all."""


@dataclass(frozen=True)
class Context:
    """Where a run happens.

    Attributes:
        workspace: The folder that `packages` and `dist` are relative to.
        environment: The environment variables.
        endpoints: Google's hosts, or the emulator's.
        console: Where messages go.
        retry_policy: How often and how long servers are asked again.
        container: Whether the run has a container of its own, where a build must never run as root.
        settled: Called as soon as nothing can change the outcome; from then on, no signal ends the run before it is
            reported.
    """

    workspace: Path
    environment: Mapping[str, str]
    endpoints: Endpoints
    console: Console
    retry_policy: RetryPolicy
    container: bool = False
    settled: Callable[[], None] = lambda: None


def new_context(
    environment: Mapping[str, str], console: Console, *, workspace: Path | None = None, container: bool = False
) -> Context:
    """Return the context of this process. Where an emulator takes Google's place, a notice says so.

    Raises:
        BadInput: The variable for the emulator has no address.
    """
    endpoints = Endpoints.from_environment(environment)
    if endpoints.emulator:
        console.notice(f"{EMULATOR_VARIABLE} is set: talking to the emulator at {endpoints.emulator}, not to Google.")
    workspace = workspace or Path.cwd()
    return Context(workspace, environment, endpoints, console, RetryPolicy(), container, settled=ignore_signals)
