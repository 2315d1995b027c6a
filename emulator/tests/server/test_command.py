import os
import shlex
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from emulated import Local
from gar_emulator.server import command

PROGRAM = Path(sys.executable).with_name("gar-emulator")
VARIABLES = {
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_ARTIFACTREGISTRY",
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDRESOURCEMANAGER",
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_IAM",
    "CLOUDSDK_API_ENDPOINT_OVERRIDES_SERVICEUSAGE",
    "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE",
    "CLOUDSDK_CORE_PROJECT",
    "GAR_EMULATOR_HOST",
    "GCE_METADATA_HOST",
    "GCE_METADATA_IP",
    "GCE_METADATA_ROOT",
}
TLS_VARIABLES = {"CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"}


@pytest.mark.parametrize(
    ("options", "variables", "number"),
    [([], VARIABLES, signal.SIGINT), (["--tls"], VARIABLES | TLS_VARIABLES, signal.SIGTERM)],
)
def test_prints_exports_and_serves_until_a_signal(
    data: Path, options: list[str], variables: set[str], number: signal.Signals
) -> None:
    with subprocess.Popen(
        [PROGRAM, "--port", "0", "--data", data, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"], "PYTHONWARNINGS": "error"},
    ) as process:
        assert process.stdout
        assert process.stderr
        exports: dict[str, str] = {}
        for _ in variables:
            word, name, value = shlex.split(process.stdout.readline().replace("=", " ", 1))
            assert word == "export"
            exports[name] = value
        assert set(exports) == variables
        with urllib.request.urlopen(f"http://{exports['GCE_METADATA_HOST']}/", timeout=5) as answer:
            assert answer.headers["Metadata-Flavor"] == "Google"
        process.send_signal(number)
        assert process.wait(10) == 0
        assert process.stderr.read() == ""


AT_THE_WORST_MOMENT = """
import os, signal, sys
from gar_emulator.server import command

def kill(frame, event, argument):
    takes_a_lock = event == "return" and frame.f_code.co_name == "__enter__" and frame.f_back.f_code.co_name == "wait"
    if takes_a_lock or (event == "c_call" and argument.__name__ == "get"):
        os.kill(os.getpid(), signal.SIGTERM)

begin = lambda line: sys.setprofile(kill)
command.run(port=0, data=command.Path("data"), out=begin)
"""


def test_a_signal_while_it_begins_to_wait(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", AT_THE_WORST_MOMENT], cwd=tmp_path, check=True, timeout=20)


def test_help_shows_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    for option in ("--version", "--host", "--port", "--data", "--world FILE", "--tls"):
        assert f"  {option}" in said
    assert "(default: .gar-emulator)" in said


@pytest.mark.parametrize("port", ["x", "-1", "65536"])
def test_invalid_port(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main([f"--port={port}"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith(f"error: argument --port: {port} is not a port from 0 to 65535\n")


def test_invalid_world_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world = tmp_path / "world.toml"
    world.write_text("[cities]")
    before = signal.getsignal(signal.SIGTERM)
    assert command.main(["--data", str(tmp_path / "data"), "--world", str(world)]) == 2
    what, fix = capsys.readouterr().err.splitlines()
    assert what.startswith(
        f"gar-emulator: error: The emulator cannot use the world file: {world} has an unknown table, cities;"
    )
    assert fix.startswith("Fix: start from the default world (https://")
    assert signal.getsignal(signal.SIGTERM) is before
    assert not (tmp_path / "data").exists()


def test_data_folder_that_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.touch()
    assert command.main(["--data", str(file)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"gar-emulator: error: The emulator cannot write to the data folder {file}: File exists.",
        "Fix: choose another folder with `--data`",
    ]


def test_port_in_use(local: Local, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = local.emulator.url.rpartition(":")[2]
    assert command.main(["--port", port, "--data", str(tmp_path)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"gar-emulator: error: The emulator cannot listen on 127.0.0.1, port {port}: Address already in use.",
        "Fix: choose another port, or any free port with `--port 0`",
    ]


def test_unknown_host(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--host", "nosuch.invalid", "--port", "0", "--data", str(tmp_path)]) == 2
    what, fix = capsys.readouterr().err.splitlines()
    assert what.startswith("gar-emulator: error: The emulator cannot listen on nosuch.invalid, port 0: ")
    assert fix == "Fix: choose an address of this machine with `--host`, such as 127.0.0.1"


@pytest.mark.parametrize(
    ("output", "code", "why"), [("closed", 1, "Broken pipe"), ("/dev/full", 2, "No space left on device")]
)
def test_unusable_output(output: str, code: int, why: str, tmp_path: Path) -> None:
    reading, closed = os.pipe()
    os.close(reading)
    stdout = closed if output == "closed" else os.open(output, os.O_WRONLY)
    done = subprocess.run(
        [PROGRAM, "--port", "0", "--data", tmp_path], stdout=stdout, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(stdout)
    assert (done.returncode, done.stderr) == (code, f"gar-emulator: error: The output cannot be written: {why}.\n")


def test_values_are_quoted() -> None:
    assert command._quoted("http://127.0.0.1:1/?a=b&c") == "'http://127.0.0.1:1/?a=b&c'"
    assert command._quoted("plain") == "'plain'"
