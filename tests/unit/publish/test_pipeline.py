import os
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from gar_emulator import Emulator
from gar_publish.context import Context, RetryPolicy
from gar_publish.publish.pipeline import publish
from gar_publish.report.report import Report
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.settings import INPUTS, Settings
from tests.unit.servers import Memory
from tests.wheels import make_wheel

PUBLISHER = "publisher@demo-project.iam.gserviceaccount.com"
Run = Callable[..., Report]


@pytest.fixture
def run(emulator: Emulator, tmp_path: Path) -> Run:
    """Publishes a, and b, which requires a."""
    make_wheel(tmp_path / "dist", "a")
    make_wheel(tmp_path / "dist", "b", requires=["a"])
    environment = {"GAR_EMULATOR_HOST": emulator.url, "PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    endpoints = Endpoints.from_environment(environment)
    inputs = {each.name: each.default for each in INPUTS} | {
        "repository": "us-central1/demo-project/python",
        "access-token": emulator.access_token(PUBLISHER),
        "dist": "dist",
    }

    def run(console: Memory, settled: Callable[[], None] = lambda: None, **given: str) -> Report:
        settings = Settings.from_inputs(inputs | given, environment=environment, endpoints=endpoints)
        return publish(settings, Context(tmp_path, environment, endpoints, console, RetryPolicy(), settled=settled))

    return run


class Mistaken(Memory):
    """A console with a bug that shows at the second file."""

    def progress(self, filename: str, total: int) -> nullcontext[Callable[[int], None]]:
        if filename.startswith("b"):
            raise KeyError("made-up-secret")
        return super().progress(filename, total)


def test_a_mistake_of_ours_does_not_keep_what_has_landed_from_being_told(run: Run, emulator: Emulator) -> None:
    report = run(Mistaken())
    assert [(each.distribution.name, each.status) for each in report.files] == [("a", "uploaded"), ("b", "unknown")]
    assert [each.filename for each in emulator.files()] == ["a-1.0-py3-none-any.whl"]
    assert report.failure
    assert (report.failure.exit_code, report.failure.anchor) == (1, "internal-error")
    assert "(KeyError)" in report.failure.what
    assert "raise KeyError" in report.failure.detail
    assert not report.verified
    assert not report.extra_index_url


BACKEND = """
import zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(folder + "/p-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("p-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: p\\nVersion: 1.0\\n")
        wheel.writestr("p-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
        wheel.writestr("p-1.0.dist-info/RECORD", "")
    return "p-1.0-py3-none-any.whl"
"""


def test_the_outcome_is_settled_before_anything_is_cleaned_up(run: Run, tmp_path: Path) -> None:
    (tmp_path / "backend.py").write_text(BACKEND)
    (tmp_path / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    scratch: list[Path] = []

    def settled() -> None:
        scratch.extend(Path(tempfile.gettempdir()).glob("gar-publish-*/1/p-1.0-py3-none-any.whl"))

    report = run(Memory(), settled, dist="")
    assert report.published
    (wheel,) = scratch
    assert not wheel.exists()
