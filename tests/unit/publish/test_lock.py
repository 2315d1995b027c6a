import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from gar_publish.auth.tokens import Token
from gar_publish.context import new_context
from gar_publish.errors import BuildFailure
from gar_publish.publish import lock
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.repository import Repository
from tests.unit.servers import Memory

REPOSITORY = Repository.parse("us-central1/demo-project/python", endpoints=Endpoints())


@pytest.mark.parametrize(
    ("specifiers", "lowest"),
    [
        ([], None),
        ([">=3.6"], "3.9"),
        ([">=3.11.4", "<4"], "3.11.4"),
        ([">=3.9,!=3.9.0,!=3.9.1"], "3.9.2"),
        ([">=3.12", "~=3.10"], "3.12"),
        ([">=4"], None),
    ],
)
def test_the_lowest_python_that_all_packages_accept(specifiers: list[str], lowest: str | None) -> None:
    found = lock._lowest_python(specifiers)
    assert (found and str(found)) == lowest


@pytest.mark.parametrize("container", [True, False])
@pytest.mark.parametrize("mount", [True, False])
def test_a_lock_is_where_later_steps_find_it(
    container: bool,  # noqa: FBT001 - a table
    mount: bool,  # noqa: FBT001
    tmp_path: Path,
    console: Memory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("scratch", "temp", "work"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: mount and path == str(tmp_path / "temp"))
    context = new_context({"RUNNER_TEMP": str(tmp_path / "temp")}, console, workspace=tmp_path / "work")
    path = lock.leave_lock("a==1\n", tmp_path / "scratch", replace(context, container=container))
    folder = tmp_path / "temp/gar-publish" if mount or not container else Path("dist")
    assert Path(path).parent == folder
    assert (tmp_path / "work" / path).read_text() == "a==1\n"


def test_a_resolution_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **options: object) -> None:
        raise subprocess.TimeoutExpired(command, 1, stderr=str(options).encode())

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(BuildFailure) as caught:
        lock.compile_lock(["a==1"], [], REPOSITORY, Token("ya29.x", None), {})
    assert "within 5 minutes" in caught.value.detail
    assert "ya29" not in caught.value.explain()
