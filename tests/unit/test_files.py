import os
from pathlib import Path

import pytest

from gar_publish.files import open_regular, take


def test_opens_only_regular_files(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x")
    with open_regular(file) as stream:
        assert stream.read() == b"x"
    (tmp_path / "link").symlink_to(file)
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe", ".", "nothing"):
        with pytest.raises(OSError):
            open_regular(tmp_path / name)


def test_opens_no_file_that_is_too_large(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as stream:
        stream.truncate(300 * 2**30)  # one hole
    with pytest.raises(OSError, match="larger than 5000 MB"):
        open_regular(tmp_path / "file")
    with pytest.raises(OSError):
        take(tmp_path / "file", tmp_path)


def test_takes_a_copy(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 3_000_000)
    (tmp_path / "taken").mkdir()
    taken = take(tmp_path / "file", tmp_path / "taken")
    (tmp_path / "file").write_bytes(b"changed")
    assert taken.read_bytes() == b"x" * 3_000_000
