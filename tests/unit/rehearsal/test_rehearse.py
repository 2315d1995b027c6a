"""What is no fault of a wheel."""

from pathlib import Path

import pytest

from gar_publish.context import Context, RetryPolicy
from gar_publish.distributions import distribution
from gar_publish.rehearsal import rehearse
from gar_publish.rehearsal.pythons import OWN
from gar_publish.rehearsal.rehearse import Plan, rehearsing
from gar_publish.settings.endpoints import Endpoints
from tests.unit.servers import Memory
from tests.wheels import make_wheel


def test_a_python_that_cannot_start(clean_env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a user of its own, for example, who cannot read its libraries."""
    said = ("ended with exit code 127", ["cannot open libpython3.so"])
    monkeypatch.setattr(rehearse._Opened, "run", lambda *_: said)
    plan = Plan([distribution.read(make_wheel(tmp_path))], {}, {}, tmp_path.as_uri(), lambda: False, asked=[str(OWN)])
    context = Context(tmp_path, clean_env, Endpoints(), Memory(), RetryPolicy())
    with rehearsing(plan, context) as rehearser:
        (outcome,) = rehearser.rehearse()["sample"]
    assert outcome.state == "not tried"
    assert outcome.problems == ("Python ended with exit code 127: cannot open libpython3.so",)
