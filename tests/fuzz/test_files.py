"""Reading any built file returns a distribution or raises a BuildFailure."""

import contextlib
import io
import re
import tarfile
import zipfile
from pathlib import Path

from hypothesis import assume, given
from hypothesis import settings as limits
from hypothesis import strategies as st

from gar_publish.distributions import distribution
from gar_publish.errors import BuildFailure
from tests.fuzz.conftest import EXAMPLES
from tests.fuzz.strategies import text, words
from tests.wheels import make_wheel

_FIELDS = (
    "Metadata-Version: 2.1",
    "Metadata-Version: 2.4",
    "Name: sample",
    "Name: \u212aample",
    "Version: 1.0",
    "Version: 1.0 ",
    "Version: 1.0.po\u017ft1",
    "Summary: x",
    "Requires-Dist: a; python_version < '3'",
    "Requires-Python: >=3.11",
    "Description-Content-Type: text/x-rst",
    "Description-Content-Type: text/markdown",
    "Content-Type: multipart/mixed; boundary=x",
    "License-File: LICENSE",
    "License-Expression: MIT",
    "Dynamic: name",
    "Project-URL: a, b",
    "Import-Name: a",
)
lines = st.lists(st.one_of(st.sampled_from(_FIELDS), text), max_size=8).map("\n".join)
valid = st.builds("Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n{}".format, lines)


def read(path: Path) -> None:
    with contextlib.suppress(BuildFailure):
        found = distribution.read(path)
        assert re.fullmatch(r"[a-z0-9-]+", found.name)
        assert re.fullmatch(r"[A-Za-z0-9.+_-]+", found.version)


@given(st.one_of(lines, valid))
def test_metadata(tmp_path: Path, metadata: str) -> None:
    metadata = metadata.encode("utf-8", "replace").decode()
    assume(metadata)
    read(make_wheel(tmp_path, metadata=metadata))


@given(st.sampled_from([".whl", ".tar.gz", ".zip"]), text)
def test_file_names(tmp_path: Path, suffix: str, name: str) -> None:
    read(tmp_path / f"{name}{suffix}".replace("/", "-"))


markup = st.lists(
    st.one_of(
        st.sampled_from(
            ["Title\n=====\n", "\n", "* ", "   ", ".. ", "raw:: html\n", "include:: /etc/passwd\n", "::\n", "`", "_",
             "+--+\n", "====  ====\n", "[#]_ ", ".. table::\n", ".. csv-table::\n   :file: /etc/passwd\n", ":ref:`x`",
             ".. |x| replace:: |x|\n", ".. role:: raw(html)\n", ".. math:: x\n", ".. code:: python\n", "x", "\x0b", "|"]
        ),
        words,
    ),
    max_size=25,
).map("".join)  # fmt: skip


@given(markup)
def test_readmes(tmp_path: Path, readme: str) -> None:
    readme = readme.encode("utf-8", "replace").decode()
    read(make_wheel(tmp_path, metadata=f"Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n\n{readme}"))


changes = st.lists(
    st.one_of(
        st.tuples(st.just("flip"), st.integers(0, 10**6), st.integers(0, 7)),
        st.tuples(st.just("cut"), st.integers(0, 10**6), st.integers(0, 10**6)),
        st.tuples(st.just("splice"), st.integers(0, 10**6), st.integers(0, 10**6)),
        st.tuples(st.just("put"), st.integers(0, 10**6), st.sampled_from([0, 1, 0xFF, 0xFFFF, 0xFFFFFFFF, 0x7FFFFFFF])),
    ),
    min_size=1,
    max_size=6,
)


def changed(content: bytes, how: list[tuple[str, int, int]]) -> bytes:
    made = bytearray(content)
    for kind, where, what in how:
        if not made:
            break
        place = where % len(made)
        match kind:
            case "flip":
                made[place] ^= 1 << what
            case "cut":
                del made[place : place + what % len(made)]
            case "splice":
                other = what % len(made)
                made[place:place] = made[other : other + 64]
            case "put":
                size = max(1, (what.bit_length() + 7) // 8)
                made[place : place + size] = what.to_bytes(size, "little")
    return bytes(made)


def wheel_bytes(folder: Path) -> bytes:
    path = make_wheel(folder, requires=["a", "b>1"])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("sample/METADATA.txt", "hello")
    return path.read_bytes()


def tar_bytes(format_: int) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=format_) as archive:
        for name in ("PKG-INFO", "x" * (80 if format_ == tarfile.USTAR_FORMAT else 120), "ä", "setup.py"):
            member = tarfile.TarInfo(f"sample-1.0/{name}")
            content = b"Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n"
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return made.getvalue()


@limits(max_examples=EXAMPLES or 400)
@given(changes)
def test_a_changed_wheel(tmp_path: Path, how: list[tuple[str, int, int]]) -> None:
    content = wheel_bytes(tmp_path)
    (tmp_path / "sample-1.0-py3-none-any.whl").write_bytes(changed(content, how))
    read(tmp_path / "sample-1.0-py3-none-any.whl")


@limits(max_examples=EXAMPLES or 400)
@given(changes, st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT]), st.booleans())
def test_a_changed_sdist(tmp_path: Path, how: list[tuple[str, int, int]], format_: int, outside: bool) -> None:  # noqa: FBT001 - hypothesis passes it
    import gzip

    content = tar_bytes(format_)
    made = changed(gzip.compress(content, 1), how) if outside else gzip.compress(changed(content, how), 1)
    (tmp_path / "sample-1.0.tar.gz").write_bytes(made)
    read(tmp_path / "sample-1.0.tar.gz")
