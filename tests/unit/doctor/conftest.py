from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gar_publish.doctor import Diagnosis, examine
from gar_publish.doctor.case import Clocks
from gar_publish.endpoints import Endpoints
from gar_publish.patience import Patience
from gar_publish.surroundings import Surroundings
from tests.unit.servers import Memory, Reply, ScriptedServer

Examine = Callable[..., Diagnosis]

PROVIDER = "projects/123456789012/locations/global/workloadIdentityPools/github/providers/github"
REPOSITORY = "us-central1/demo-project/python"
NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def server(server: ScriptedServer) -> ScriptedServer:
    """It knows nothing, but is there."""
    server.on("/", Reply(404, headers={"Date": "Wed, 25 Nov 2026 12:00:00 GMT"}))
    return server


@pytest.fixture
def look(server: ScriptedServer, console: Memory, tmp_path: Path) -> Examine:
    """Examines as a test wants it."""

    def look(
        inputs: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        *,
        endpoints: Endpoints | None = None,
        resolve: Callable[[str], object] = lambda _: None,
    ) -> Diagnosis:
        around = Surroundings(
            tmp_path,
            {"NO_GCE_CHECK": "true", **(environment or {})},
            endpoints or Endpoints(server.url),
            console,
            Patience(tries=1, sleep=lambda _: None),
        )
        given = {"repository": REPOSITORY, "access-token": "ya29.given", **(inputs or {})}
        return examine(
            {name: value for name, value in given.items() if value},
            around,
            Clocks(now=lambda: NOW, resolve=resolve),
        )

    return look
