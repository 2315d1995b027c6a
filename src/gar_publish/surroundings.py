"""Where a run happens."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gar_publish.console import Console
from gar_publish.endpoints import Endpoints
from gar_publish.patience import Patience


@dataclass(frozen=True)
class Surroundings:
    """Where a run happens.

    Attributes:
        workspace: The folder that `packages` and `dist` start from.
        environment: The environment's variables.
        endpoints: Google's hosts, or the emulator's.
        console: Who watches.
        patience: How long servers are asked again.
        container: Whether the run has a container to itself, where a build must never run as root.
        settled: Called as soon as nothing can change the outcome: from then on, nothing may keep it from being told.
    """

    workspace: Path
    environment: Mapping[str, str]
    endpoints: Endpoints
    console: Console
    patience: Patience
    container: bool = False
    settled: Callable[[], None] = lambda: None
