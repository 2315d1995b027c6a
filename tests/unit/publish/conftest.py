from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.unit.publish.registry import Bench
from tests.unit.servers import ScriptedServer


@pytest.fixture
def bench(server: ScriptedServer, tmp_path: Path) -> Iterator[Bench]:
    with ThreadPoolExecutor(4) as pool:
        yield Bench(server, pool, tmp_path)
