from pathlib import Path

import pytest

from gar_publish.configure.machine import this_machine
from gar_publish.errors import BadInput


def test_what_may_not_be_looked_at_does_not_exist(tmp_path: Path) -> None:
    """As with the HOME of another user, after sudo. For root, only a name that is too long cannot be looked at."""
    exists = this_machine({}).exists
    assert exists(tmp_path)
    assert not exists(tmp_path / ("x" * 5000))


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(BadInput, match="has no home folder"):
        this_machine({})
