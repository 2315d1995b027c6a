import errno
import os
import shutil
from pathlib import Path
from typing import IO

import pytest

from gar_publish.distributions.leave import leave
from tests.recording import RecordingConsole


@pytest.mark.skipif(os.name == "nt", reason="gar-publish has no more rights there than who could make a link")
def test_leaves_a_copy_and_follows_no_link(tmp_path: Path) -> None:
    console = RecordingConsole()
    (tmp_path / "file").write_bytes(b"new")
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist/file").symlink_to(tmp_path / "precious")
    assert leave(tmp_path / "file", tmp_path / "dist", console)
    assert (tmp_path / "dist/file").read_bytes() == b"new"
    assert not (tmp_path / "dist/file").is_symlink()
    assert (tmp_path / "precious").read_bytes() == b"precious"
    (tmp_path / "link").symlink_to(tmp_path / "dist")
    assert not leave(tmp_path / "file", tmp_path / "link", console)
    assert "No copy of file was left" in console.of("warning")[0]


def test_what_is_cut_short_replaces_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill_the_disk(_: IO[bytes], target: IO[bytes], *__: object) -> None:
        target.write(b"ne")
        raise OSError(errno.ENOSPC, "No space left on device")

    console = RecordingConsole()
    (tmp_path / "file").write_bytes(b"new")
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist/file").write_bytes(b"old")
    monkeypatch.setattr(shutil, "copyfileobj", fill_the_disk)
    assert not leave(tmp_path / "file", tmp_path / "dist", console)
    assert [each.name for each in (tmp_path / "dist").iterdir()] == ["file"]
    assert (tmp_path / "dist/file").read_bytes() == b"old"
