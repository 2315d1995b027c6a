"""Asking a real uv for Pythons, and installing with it."""

import json
import os
import sys
from pathlib import Path

import pytest

from gar_publish.builder.environment import Environment
from gar_publish.builder.process import Works
from gar_publish.rehearsal import installer as of_installer
from gar_publish.rehearsal.installer import Rehearsing
from gar_publish.rehearsal.rehearse import let_scripts_start


def test_the_pythons_that_uv_finds(tmp_path: Path, clean_env: dict[str, str]) -> None:
    folder = str(Path(sys.executable).resolve().parent)
    found = Rehearsing(tmp_path, {**clean_env, "PATH": folder}, Works(), are_isolated=False).pythons()
    versions = {each["version"] for each in json.loads(found)}
    assert ".".join(map(str, sys.version_info[:3])) in versions


def test_a_python_that_hangs(tmp_path: Path, clean_env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a limit, uv waits for it for ever."""
    monkeypatch.setattr(of_installer, "_LONGEST_LISTING", 0.5)
    python = tmp_path / "python3.12"
    python.write_text("#!/bin/sh\nexec sleep 60\n")
    python.chmod(0o755)
    variables = {**clean_env, "PATH": f"{tmp_path}:{clean_env['PATH']}", "UV_CACHE_DIR": str(tmp_path / "cache")}
    assert Rehearsing(tmp_path, variables, Works(), are_isolated=False).pythons() == "[]"


@pytest.mark.parametrize(
    ("variables", "may_build"),
    [
        ({"UV_INDEX": "https://host/simple/"}, True),
        ({"UV_INDEX": "https://me:x@host/simple/"}, False),
        ({"UV_INDEX": "mine=https://host/simple/", "UV_INDEX_MINE_PASSWORD": "x"}, False),
        ({"HTTPS_PROXY": "http://me:x@proxy"}, False),
    ],
)
def test_nothing_is_built_without_an_index_of_the_user(
    tmp_path: Path, variables: dict[str, str], *, may_build: bool
) -> None:
    """What it alone has would be asked of a public index, and a package of that name would be installed."""
    installer = Rehearsing(tmp_path, variables, Works(), first="file:///first", are_isolated=False)
    assert installer.may_build is may_build


@pytest.mark.skipif(sys.platform == "win32", reason="scripts are programs there")
def test_scripts_start_their_own_python_and_those_in_the_cache_of_uv_stay(tmp_path: Path) -> None:
    environment = Environment(tmp_path / "environment", "")
    script = Path(environment.python_executable).with_name("tool")
    script.parent.mkdir(parents=True)
    cached = tmp_path / "tool"
    cached.write_text("#!/usr/bin/env python3\nprint()\n")
    cached.chmod(0o755)
    os.link(cached, script)
    let_scripts_start(environment)
    assert script.read_text() == f"#!{environment.python_executable}\nprint()\n"
    assert os.access(script, os.X_OK)
    assert cached.read_text() == "#!/usr/bin/env python3\nprint()\n"
