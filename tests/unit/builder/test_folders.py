"""The lock of the folder of root's builds."""

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("only root's builds have it, on Linux", allow_module_level=True)

from gar_publish.builder import folders
from gar_publish.builder.folders import folder_for_builds

RUN = """
import os, subprocess, sys, uv
from pathlib import Path
from gar_publish import copies
from gar_publish.builder import folders
from gar_publish.builder.environment import Environment
from gar_publish.builder.installer import Installer
from gar_publish.builder.process import Works

folders.FOLDER, sleeper = Path(sys.argv[1]), sys.argv[2]
with folders.folder_for_builds() as folder:
    installer = Installer(folder, {}, Works(), are_isolated=False)
    sys.executable, uv.find_uv_bin, run = sleeper, lambda: sleeper, subprocess.run
    subprocess.run = lambda _, **options: run([sleeper], **options)
    os.sched_getaffinity, copies._WORTH_A_PROCESS = lambda _: {1, 2}, 1
"""
WRITERS = {
    "uv": "installer.run_uv([], {})",
    "the compiler": "installer.compile(Environment(folder, ''))",
    "copies": "copies.copy_files([('no-file', 'copy')] * 4)",
    "rm": "folders.remove(folder)",
}


@pytest.mark.parametrize("writer", WRITERS)
def test_no_run_takes_a_folder_to_which_a_program_of_a_killed_run_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: str
) -> None:
    monkeypatch.setattr(folders, "FOLDER", tmp_path / "builds")
    (tmp_path / "sleeper").write_text(
        f"#!/bin/sh\necho $$ >{tmp_path}/new && mv {tmp_path}/new {tmp_path}/id\nexec sleep 60\n"
    )
    (tmp_path / "sleeper").chmod(0o755)
    run = subprocess.Popen(
        [sys.executable, "-c", f"{RUN}    {WRITERS[writer]}", tmp_path / "builds", tmp_path / "sleeper"]
    )
    until = time.monotonic() + 20
    while not (tmp_path / "id").exists():
        assert run.poll() is None
        assert time.monotonic() < until
        time.sleep(0.02)
    program = os.pidfd_open(int((tmp_path / "id").read_text()))
    try:
        run.kill()
        run.wait()
        with folder_for_builds() as folder:
            assert folder.name == "2"
    finally:
        signal.pidfd_send_signal(program, signal.SIGKILL)
        select.select([program], [], [], 10)
        os.close(program)
    with folder_for_builds() as folder:
        assert folder.name == "1"
