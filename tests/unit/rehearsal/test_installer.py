"""Asking a real uv for Pythons."""

import json
import sys
from pathlib import Path

from gar_publish.builder.process import Works
from gar_publish.rehearsal.installer import Rehearsing


def test_the_pythons_that_uv_finds(tmp_path: Path, clean_env: dict[str, str]) -> None:
    folder = str(Path(sys.executable).resolve().parent)
    found = Rehearsing(tmp_path, {**clean_env, "PATH": folder}, Works(), are_isolated=False).pythons()
    versions = {each["version"] for each in json.loads(found)}
    assert ".".join(map(str, sys.version_info[:3])) in versions
