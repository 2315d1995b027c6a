"""Build requirements that the run itself publishes."""

from gar_emulator import Emulator
from tests.integration.frontdoors import DIRECT, PUBLISH, Doors

PLUGIN = """
import zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(folder + "/app-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("app-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: app\\nVersion: 1.0\\n")
        wheel.writestr("app-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
        wheel.writestr("app-1.0.dist-info/RECORD", "")
        wheel.writestr("app.py", "")
    return "app-1.0-py3-none-any.whl"
"""


def test_a_build_waits_for_a_requirement_that_the_same_run_publishes(doors: Doors, emulator: Emulator) -> None:
    """A package of the same name in another index is never installed."""
    plugin, app = doors.folder / "plugin", doors.folder / "app"
    for folder in (plugin / "iniconfig", app):
        folder.mkdir(parents=True)
    (plugin / "iniconfig/__init__.py").write_text(PLUGIN)  # PyPI has another one
    (plugin / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["flit_core>=3.11"]\nbuild-backend = "flit_core.buildapi"\n'
        '[project]\nname = "iniconfig"\nversion = "99.0"\ndescription = "x"\n'
    )
    (app / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["iniconfig"]\nbuild-backend = "iniconfig"\n'
        '[project]\nname = "app"\nversion = "1.0"\n'
    )
    refused = doors.command(*PUBLISH, *DIRECT, "--dry-run", "app", "plugin")
    assert refused.code == 4, refused.err
    assert "A build needs iniconfig" in refused.err
    done = doors.command(*PUBLISH, *DIRECT, "--jobs", "1", "app", "plugin")
    assert done.code == 0, done.err
    assert {each.filename for each in emulator.files()} == {
        "iniconfig-99.0-py2.py3-none-any.whl",
        "app-1.0-py3-none-any.whl",
    }
