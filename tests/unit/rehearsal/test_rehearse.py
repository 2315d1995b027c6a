"""What is no fault of a wheel."""

import tarfile
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


def test_a_requirement_without_a_wheel_is_built(clean_env: dict[str, str], tmp_path: Path) -> None:
    source = tmp_path / "need-1.0"
    make_wheel(source, "need")
    (source / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: need\nVersion: 1.0\n")
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    (source / "backend.py").write_text(
        "import shutil\n\ndef build_wheel(folder, *_):\n    name = 'need-1.0-py3-none-any.whl'\n"
        "    shutil.copy(name, folder)\n    return name\n"
    )
    (tmp_path / "public" / "need").mkdir(parents=True)
    with tarfile.open(tmp_path / "public" / "need" / "need-1.0.tar.gz", "w:gz") as sdist:
        sdist.add(source, "need-1.0")
    (tmp_path / "public" / "need" / "index.html").write_text('<a href="need-1.0.tar.gz">need-1.0.tar.gz</a>')
    environment = {**clean_env, "UV_DEFAULT_INDEX": (tmp_path / "public").as_uri()}
    wheel = distribution.read(make_wheel(tmp_path, "app", content="import need\n", requires=["need"]))
    plan = Plan([wheel], {}, {}, tmp_path.as_uri(), lambda: False, asked=[str(OWN)])
    with rehearsing(plan, Context(tmp_path, environment, Endpoints(), Memory(), RetryPolicy())) as rehearser:
        (outcome,) = rehearser.rehearse()["app"]
    assert (outcome.state, outcome.problems) == ("passed", ())
