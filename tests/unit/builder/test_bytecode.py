"""Keeping byte code for the next environment, with a real Python."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gar_publish.builder.bytecode import ByteCode


def environment(folder: Path, source: str = "answer = 42\n", version: str = "1.0", when: int = 1_700_000_000) -> Path:
    (folder / f"module-{version}.dist-info").mkdir(parents=True)
    (folder / "package").mkdir()
    for file in (folder / "module.py", folder / "package/__init__.py"):
        file.write_text(source)
        os.utime(file, (when, when))
    return folder


def imported(site: Path) -> str:
    """Return the output of Python's verbose imports."""
    script = f"import sys; sys.path.insert(0, {str(site)!r}); import module, package; print(module.answer)"
    done = subprocess.run([sys.executable, "-Bvc", script], capture_output=True, text=True, check=True, env={})
    assert done.stdout in {"42\n", "43\n"}
    return done.stderr


def compiled(site: Path) -> None:
    script = f"import sys; sys.path.insert(0, {str(site)!r}); import module, package"
    subprocess.run([sys.executable, "-c", script], check=True, env={})


@pytest.fixture
def kept(tmp_path: Path) -> ByteCode:
    return ByteCode(tmp_path / "kept")


def test_the_next_environment_compiles_nothing(kept: ByteCode, tmp_path: Path) -> None:
    first, second = environment(tmp_path / "1"), environment(tmp_path / "2")
    compiled(first)
    kept.keep(first)
    assert "code object from" in imported(second)
    kept.give(second)
    said = imported(second)
    assert f"matches {second / 'module.py'}" in said
    assert f"matches {second / 'package/__init__.py'}" in said


@pytest.mark.parametrize("change", [{"version": "1.1"}, {"when": 1_700_000_001}, {"source": "answer = 43  \n"}])
def test_does_not_use_byte_code_that_does_not_match(kept: ByteCode, tmp_path: Path, change: dict[str, str]) -> None:
    first, second = environment(tmp_path / "1"), environment(tmp_path / "2", **change)  # type: ignore[arg-type] # of three types
    compiled(first)
    kept.keep(first)
    kept.give(second)
    assert f"matches {second / 'module.py'}" not in imported(second)


def test_newer_byte_code_replaces_older(kept: ByteCode, tmp_path: Path) -> None:
    for number, when in enumerate((1_700_000_000, 1_700_000_001)):
        site = environment(tmp_path / str(number), when=when)
        kept.give(site)
        compiled(site)
        kept.keep(site)
    last = environment(tmp_path / "last", when=1_700_000_001)
    kept.give(last)
    assert f"matches {last / 'module.py'}" in imported(last)


def test_keeps_twenty_sets(kept: ByteCode, tmp_path: Path) -> None:
    for number in range(23):
        site = environment(tmp_path / str(number), version=f"1.{number}")
        (site / "__pycache__").mkdir()
        (site / "__pycache__/module.pyc").touch()
        kept.keep(site)
    assert len(list((tmp_path / "kept").iterdir())) == 20


def test_the_cache_folder(tmp_path: Path) -> None:
    assert ByteCode.of({}) is None
    for variables in ({"HOME": str(tmp_path)}, {"XDG_CACHE_HOME": str(tmp_path / ".cache"), "HOME": "/nowhere"}):
        made = ByteCode.of(variables)
        assert made
        site = environment(tmp_path / f"site-{len(variables)}", version=f"1.{len(variables)}")
        (site / "__pycache__").mkdir()
        (site / "__pycache__/module.pyc").touch()
        made.keep(site)
    assert len(list((tmp_path / ".cache/gar-publish/byte-code").iterdir())) == 2


def test_ignores_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    site = environment(tmp_path / "site")
    (site / "__pycache__").mkdir()
    (site / "__pycache__/module.pyc").touch()
    made = ByteCode(tmp_path / "file" / "kept")
    made.keep(site)
    made.give(site)


def test_ignores_an_environment_that_a_build_has_removed(kept: ByteCode, tmp_path: Path) -> None:
    kept.keep(tmp_path / "removed")
