import os
from pathlib import Path

import pytest

from gar_publish.builder.files import open_regular


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
