"""Installing with a real uv and local indexes."""

import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from gar_publish.builder import installer as of_installer
from gar_publish.builder.environment import Environment, make
from gar_publish.builder.installer import Installer
from gar_publish.builder.process import Works
from tests.unit.builder.indexes import TOKEN, Index, run


@pytest.fixture
def installer(tmp_path: Path, variables: dict[str, str], index: Index) -> Installer:
    (tmp_path / "scratch").mkdir()
    return Installer(tmp_path / "scratch", {**variables, "UV_DEFAULT_INDEX": index.url()}, Works(), are_isolated=False)


def test_the_output_of_uv_has_no_credential(tmp_path: Path, installer: Installer) -> None:
    environment = Environment(tmp_path / "environment", "")
    make(environment.folder)
    with Index(tmp_path / "private", token="another") as private:
        said = installer.install_wheels(environment, ["sample"], private.url(TOKEN))
        assert said
        assert f"127.0.0.1:{private.server.server_port}" in said
    assert any(private.authorizations)
    assert TOKEN not in said


def test_constraints_are_copied_whatever_the_locale(tmp_path: Path, variables: dict[str, str]) -> None:
    file = tmp_path / "given.txt"
    file.write_text("sample<2  # Zoë\n", encoding="utf-8")
    script = (
        "import os, pathlib, sys\n"
        "from gar_publish.builder.installer import Installer, Works\n"
        "Installer(pathlib.Path(sys.argv[1]), os.environ, Works(), are_isolated=False)\n"
    )
    ascii_only = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PIP_CONSTRAINT": str(file)}
    environment = {**variables, **ascii_only, "PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-c", script, tmp_path], env=environment, check=True)
    assert (tmp_path / "constraints-0.txt").read_bytes() == file.read_bytes()


def test_a_url_that_uv_cannot_parse(tmp_path: Path, variables: dict[str, str]) -> None:
    index = {"UV_INDEX": "https://me:secret@host:bad/simple/"}
    installer = Installer(tmp_path, {**variables, **index}, Works(), are_isolated=False)
    make((environment := Environment(tmp_path / "environment", "")).folder)
    said = installer.install_wheels(environment, ["sample"], None)
    assert said
    assert "https://***@host:bad/simple/" in said


def test_the_temporary_folder_does_not_configure_uv(tmp_path: Path, installer: Installer) -> None:
    (tmp_path / "uv.toml").write_text('index-url = "http://127.0.0.1:9/simple/"\nno-such-setting = 1\n')
    (tmp_path / "pyproject.toml").write_text('[tool.uv]\nindex-url = "http://127.0.0.1:9/simple/"\n')
    environment = Environment(tmp_path / "environment", "")
    make(environment.folder)
    assert installer.install_wheels(environment, ["sample"], None) is None
    assert run(environment.python_executable, "import sample") == ""


def test_an_index_that_sends_one_byte_after_the_other(
    tmp_path: Path, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a limit, uv waits for it for ever."""
    monkeypatch.setattr(of_installer, "_LONGEST", 1.0)
    environment = Environment(tmp_path / "environment", "")
    make(environment.folder)
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_drip, args=(server,), daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/simple/"
        installer = Installer(tmp_path, {**variables, "UV_DEFAULT_INDEX": url}, Works(), are_isolated=False)
        said = installer.install_wheels(environment, ["sample"], None)
    assert said
    assert said.endswith("Failed to fetch packages within 1 seconds")


def _drip(server: socket.socket) -> None:
    with suppress(OSError), server.accept()[0] as connection:
        connection.recv(65536)  # uv takes an answer before its request for an error
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(100):
            connection.sendall(b" ")
            time.sleep(0.1)
