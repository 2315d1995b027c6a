import os
import re
import sys
from pathlib import Path

import pytest

from gar_publish import copies
from gar_publish.copies import copy_file, copy_files

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only root's builds have copies, on Linux")


@pytest.fixture
def pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The paths of seven files and of their copies, which three processes make."""
    monkeypatch.setattr(copies, "_WORTH_A_PROCESS", 1)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    names = ["a", "b\n", "c d", "\udcff", "é", "-f", "g"]
    for folder in ("from", "to"):
        (tmp_path / folder).mkdir()
    for name in names:
        (tmp_path / "from" / name).write_text(name.encode("ascii", "backslashreplace").decode())
        os.utime(tmp_path / "from" / name, ns=(1_000_000_001, 1_000_000_002))
    return [(f"{tmp_path}/from/{name}", f"{tmp_path}/to/{name}") for name in names]


@pytest.mark.parametrize("count", range(8))
def test_copies_all_files(pairs: list[tuple[str, str]], tmp_path: Path, count: int) -> None:
    copy_files(pairs[:count])
    assert sorted(map(str, (tmp_path / "to").iterdir())) == sorted(target for _, target in pairs[:count])
    for source, target in pairs[:count]:
        assert Path(source).read_bytes() == Path(target).read_bytes()
        assert Path(target).stat().st_mtime_ns == 1_000_000_002
        assert Path(target).stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("number", [0, 3, 6])
def test_raises_what_is_wrong_in_any_process(pairs: list[tuple[str, str]], number: int) -> None:
    pairs[number] = (f"{pairs[number][0]}-missing", pairs[number][1])
    with pytest.raises(OSError, match=re.escape("No such file or directory")):
        copy_files(pairs)


def test_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    copy_file(str(tmp_path / "link"), str(tmp_path / "copy"))
    assert not (tmp_path / "copy").exists()
