"""The entry points that the actions name: some runners start no container without one."""

import os
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT


@pytest.mark.parametrize("folder", [ROOT, ROOT / "setup"], ids=["publish", "setup"])
def test_an_action_starts_scripts_that_need_no_shell(folder: Path) -> None:
    runs = yaml.safe_load((folder / "action.yml").read_text(encoding="utf-8"))["runs"]
    started = [runs["entrypoint"], *([runs["post-entrypoint"]] if "post-entrypoint" in runs else [])]
    for path in started:
        script = ROOT / path.removeprefix("/app/")
        assert os.access(script, os.X_OK), path
        assert script.read_text(encoding="utf-8").startswith("#!/app/venv/bin/python -Iu\n"), path


def test_the_image_starts_like_the_action() -> None:
    runs = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))["runs"]
    assert f'\nENTRYPOINT ["{runs["entrypoint"]}"]\n' in (ROOT / "Dockerfile").read_text(encoding="utf-8")
