from pathlib import Path

import pytest

from gar_publish.context import LAG_WAITS, OPERATION_WAITS, RetryPolicy, new_context
from gar_publish.errors import BadInput
from gar_publish.process import ignore_signals
from tests.unit.servers import Memory


def test_retry_policies() -> None:
    """All numbers on purpose: nothing else notices when one changes."""
    publishing = RetryPolicy()
    assert publishing == RetryPolicy(6, 1, 20, 120, 3, (10, 90))
    assert publishing.for_doctor() == RetryPolicy(2, 0.2, 1, 15, 1, (5, 10))
    assert publishing.for_metadata_server() == RetryPolicy(6, 1, 1, 120, 3, (10, 90))
    assert sum(LAG_WAITS) == 30.5
    assert sum(OPERATION_WAITS) == 60.5


def test_the_context_of_a_process(console: Memory, tmp_path: Path) -> None:
    context = new_context({"A": "b"}, console)
    assert (context.workspace, context.environment, context.container) == (Path.cwd(), {"A": "b"}, False)
    assert (context.console, context.retry_policy, context.settled) == (console, RetryPolicy(), ignore_signals)
    assert context.endpoints.emulator is None
    assert console.said == []
    context = new_context({}, console, workspace=tmp_path, container=True)
    assert (context.workspace, context.container) == (tmp_path, True)


def test_an_emulator_is_a_notice(console: Memory) -> None:
    context = new_context({"GAR_EMULATOR_HOST": "127.0.0.1:8085"}, console)
    assert context.endpoints.emulator == "http://127.0.0.1:8085"
    assert console.said == [
        "GAR_EMULATOR_HOST is set: talking to the emulator at http://127.0.0.1:8085, not to Google."
    ]
    with pytest.raises(BadInput):
        new_context({"GAR_EMULATOR_HOST": "ftp://127.0.0.1"}, console)
