from collections.abc import Callable
from pathlib import Path

import pytest

from gar_publish.context import Context, RetryPolicy
from gar_publish.doctor import tell_after, walk
from gar_publish.errors import Failure
from gar_publish.settings.endpoints import Endpoints
from tests.unit.doctor.conftest import REPOSITORY, Examine
from tests.unit.servers import Memory, ScriptedServer

FAILURE = Failure("It failed.", anchor="registry-403")
INPUTS = {"repository": REPOSITORY, "access-token": "ya29.given"}


@pytest.fixture
def context(server: ScriptedServer, console: Memory, tmp_path: Path) -> Context:
    environment = {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary"), "NO_GCE_CHECK": "true"}
    return Context(tmp_path, environment, Endpoints(server.url), console, RetryPolicy(sleep=lambda _: None))


def test_no_link_is_reached_after_a_broken_one(look: Examine) -> None:
    found = look({"repository": "nonsense//"})
    assert [link.state for link in found.links] == ["broken", *["not reached"] * 7]


def test_writes_to_log_and_summary_after_a_failure(context: Context, console: Memory, tmp_path: Path) -> None:
    tell_after(FAILURE, INPUTS, context)
    assert "+ Inputs: ok" in console.said
    assert "| ✅ Inputs | ok |" in (tmp_path / "summary").read_text("utf-8")


def test_an_internal_error_keeps_the_links_before_it(look: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "check_clock", lambda *_: _fail())
    found = look()
    assert [link.state for link in found.links[:4]] == ["ok", "ok", "ok", "broken"]
    assert found.exit_code == 1


def _fail() -> None:
    raise KeyError("made up")


def _wait() -> None:
    import threading

    threading.Event().wait(1)


@pytest.mark.parametrize(
    ("act", "said"), [(_fail, "The doctor failed (KeyError)."), (_wait, "The doctor did not finish")]
)
def test_a_run_ends_even_if_the_doctor_fails_or_hangs(
    act: Callable[[], None],
    said: str,
    context: Context,
    console: Memory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(walk, "TIME_LIMIT", 0.05)
    monkeypatch.setattr(walk, "examine", lambda *_: act())
    tell_after(FAILURE, INPUTS, context)
    assert console.said[-1].startswith(said)
