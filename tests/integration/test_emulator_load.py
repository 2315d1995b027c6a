"""The emulator writes large uploads to disk instead of keeping them in memory."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from gar_publish.registry.upload import FormWithFile

PROGRAM = Path(sys.executable).with_name("gar-emulator")
SIZE = 150_000_000
MEMORY = 120_000
"""Kilobytes. An idle emulator takes about 50,000."""


@dataclass
class Process:
    pid: int
    exports: dict[str, str]

    def peak(self) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


@pytest.fixture
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """Start an emulator in its own process."""
    arguments = [str(PROGRAM), "--port", "0", "--data", str(tmp_path_factory.mktemp("emulator"))]
    environment = {"PATH": os.environ["PATH"], "PYTHONWARNINGS": "error"}
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=environment) as running:
        assert running.stdout
        exports: dict[str, str] = {}
        while "GCE_METADATA_ROOT" not in exports:
            _, name, value = shlex.split(running.stdout.readline().replace("=", " ", 1))
            exports[name] = value
        yield Process(running.pid, exports)
        running.send_signal(signal.SIGTERM)
        assert running.wait(10) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_large_file_takes_no_memory(process: Process, tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as stream:
        stream.truncate(SIZE)
    url = f"{process.exports['GAR_EMULATOR_HOST']}/us-central1-python.pkg.dev/demo-project/python/"
    metadata = (
        f"http://{process.exports['GCE_METADATA_HOST']}/computeMetadata/v1/instance/service-accounts/default/token"
    )
    with requests.Session() as session, large.open("rb") as content:
        session.trust_env = False
        answer = session.get(metadata, headers={"Metadata-Flavor": "Google"})
        session.auth = ("oauth2accesstoken", answer.json()["access_token"])
        fields = {":action": "file_upload", "name": "large", "version": "1.0"}
        form = FormWithFile(fields.items(), "content", "large-1.0-py3-none-any.whl", content)
        answer = session.post(url, data=form, headers={"Content-Type": form.content_type})
        assert (answer.status_code, answer.text) == (200, "")
        with session.get(f"{url}large/large-1.0-py3-none-any.whl", stream=True) as download:
            assert sum(len(chunk) for chunk in download.iter_content(1 << 20)) == SIZE
    assert process.peak() < MEMORY
