"""Shared names of the tests of root's builds, and workspaces of another owner."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

OWNER = (4321, 4321)
ANYBODY = 65534
IN_TREE = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'

Run = Callable[..., dict[str, Any]]

needs_root = [
    pytest.mark.root,
    pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root can give up its rights"),
]


def checkout(room: Path, names: Iterable[str], files: Mapping[str, str]) -> None:
    """Make projects with the same files in the workspace; NAME is replaced by the name of each."""
    workspace = room / "github/workspace"
    subprocess.run(["git", "init", "-q", workspace], check=True)
    for name in names:
        (workspace / name).mkdir()
        for file, text in files.items():
            (workspace / name / file.replace("NAME", name)).write_text(text.replace("NAME", name))
    own(workspace)


def own(workspace: Path) -> None:
    for path in [workspace, *workspace.rglob("*")]:
        os.chown(path, *OWNER, follow_symlinks=False)


def said(result: Mapping[str, Any]) -> list[str]:
    """Return the output of the builds."""
    return [line for kind, line in result["said"] if kind == "foreign"]
