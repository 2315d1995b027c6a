import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gar_publish import copies
from gar_publish.copies import copy_file, copy_files

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only root's builds have copies, on Linux")


@pytest.fixture
def pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The paths of seven files and of their copies, which three processes make."""
    monkeypatch.setattr(copies, "_WORTH_A_PROCESS", 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1, 2, 3})
    names = ["a", "b\n", "c d", "\udcff", "é", "-f", "g"]
    for folder in ("from", "to"):
        (tmp_path / folder).mkdir()
    for name in names:
        (tmp_path / "from" / name).write_text(name.encode("ascii", "backslashreplace").decode())
        os.utime(tmp_path / "from" / name, ns=(1_000_000_001, 1_000_000_002))
    return [(f"{tmp_path}/from/{name}", f"{tmp_path}/to/{name}") for name in names]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The processes that are started."""
    started: list[Any] = []

    class Popen(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            assert options["env"] == {}
            started.append(self)
            super().__init__(*arguments, **options)

    monkeypatch.setattr(subprocess, "Popen", Popen)
    return started


@pytest.mark.parametrize(("count", "processes"), [(0, 1), (1, 1), (2, 2), (3, 2), (4, 2), (5, 3), (6, 2), (7, 3)])
def test_copies_all_files(
    pairs: list[tuple[str, str]], started: list[Any], tmp_path: Path, count: int, processes: int
) -> None:
    copy_files(pairs[:count])
    assert sorted(map(str, (tmp_path / "to").iterdir())) == sorted(target for _, target in pairs[:count])
    for source, target in pairs[:count]:
        assert Path(source).read_bytes() == Path(target).read_bytes()
        assert Path(target).stat().st_mtime_ns == 1_000_000_002
        assert Path(target).stat().st_mode & 0o777 == 0o644
    assert len(started) == processes - 1


@pytest.mark.parametrize("number", range(7))
def test_raises_what_is_wrong_in_any_process(pairs: list[tuple[str, str]], started: list[Any], number: int) -> None:
    Path(pairs[number][1]).touch()
    with pytest.raises(OSError, match=r"^\[Errno 17\] File exists: '"):
        copy_files(pairs)
    assert [each.returncode for each in started] == [int(number in range(3, 6)), int(number == 6)]


def test_a_copying_process_that_is_killed_has_failed(
    pairs: list[tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "python").write_text("#!/bin/sh\nkill -9 $$\n")
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(OSError, match="A process that copies files was ended"):
        copy_files(pairs)


def test_leaves_out_links_and_what_has_gone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    for name in ("link", "gone"):
        copy_file(str(tmp_path / name), str(tmp_path / "copy"))
    assert not (tmp_path / "copy").exists()
