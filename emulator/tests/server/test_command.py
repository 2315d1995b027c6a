import os
import shlex
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from gar_emulator.errors import EmulatorError
from gar_emulator.server import command

SRC = Path(__file__).parents[2] / "src"
PROGRAM = """
import sys
from pathlib import Path
from gar_emulator.server import command
command.run(port=0, data=Path(sys.argv[1]), tls=len(sys.argv) > 2, out=lambda line: print(line, flush=True))
"""


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_prints_exports_and_serves_until_a_signal(data: Path, tls: bool, number: signal.Signals) -> None:  # noqa: FBT001 - a table
    arguments = [sys.executable, "-W", "error", "-c", PROGRAM, str(data), *(["tls"] if tls else [])]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SRC)}
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout
        assert process.stderr
        exports: dict[str, str] = {}
        while len(exports) < (14 if tls else 10):
            word, name, value = shlex.split(process.stdout.readline().replace("=", " ", 1))
            assert word == "export"
            exports[name] = value
        with urllib.request.urlopen(f"http://{exports['GCE_METADATA_HOST']}/", timeout=5) as answer:
            assert answer.headers["Metadata-Flavor"] == "Google"
        process.send_signal(number)
        assert process.wait(10) == 0
        assert process.stderr.read() == ""


def test_values_are_quoted() -> None:
    assert command._quoted("http://127.0.0.1:1/?a=b&c") == "'http://127.0.0.1:1/?a=b&c'"
    assert command._quoted("plain") == "'plain'"


def test_bad_world_file_is_explained_before_anything_starts(tmp_path: Path) -> None:
    world = tmp_path / "world.toml"
    world.write_text("nonsense")
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(EmulatorError, match="is not TOML"):
        command.run(port=0, data=tmp_path / "data", world=world, out=print)
    assert signal.getsignal(signal.SIGTERM) is before
    assert not (tmp_path / "data").exists()
