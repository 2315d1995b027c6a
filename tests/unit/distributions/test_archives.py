"""Malicious archives: each must be refused before it takes much memory or time."""

import gzip
import io
import struct
import sys
import tarfile
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from twine.package import HashManager

from gar_publish.distributions import archives, distribution
from gar_publish.errors import BuildFailure
from tests.wheels import make_wheel

METADATA = b"Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n"
WHEEL = "sample-1.0-py3-none-any.whl"
SDIST = "sample-1.0.tar.gz"
MEMBER = "sample-1.0.dist-info/METADATA"
MEGABYTES = 64
"""The size of most bombs, unpacked."""


@pytest.fixture
def _small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "METADATA_LIMIT", 3 * 2**20)
    monkeypatch.setattr(archives, "_JSON_LIMIT", 2**20)
    monkeypatch.setattr(archives, "DIRECTORY_LIMIT", 2**20)
    monkeypatch.setattr(archives, "MEMBERS_LIMIT", 2 * 2**20)


def read(path: Path) -> distribution.Distribution:
    """Read a file, and check that this took little memory and time."""
    started = time.process_time()
    tracemalloc.start()
    try:
        return distribution.read(path)
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < MEGABYTES / 2 * 2**20
        assert time.process_time() - started < 20


def wheel(folder: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(folder / WHEEL, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return folder / WHEEL


def sdist(folder: Path, *members: tuple[tarfile.TarInfo, bytes], format_: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(folder / SDIST, "w:gz", format=format_, compresslevel=1) as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return folder / SDIST


def zeros(megabytes: int) -> bytes:
    """Deflate so many megabytes of zeros."""
    deflate = zlib.compressobj(1, wbits=-15)
    return b"".join([*(deflate.compress(b"\0" * 2**20) for _ in range(megabytes)), deflate.flush()])


def entry(name: bytes, raw: bytes, size: int, crc: int, offset: int) -> tuple[bytes, bytes]:
    """Return a deflated member of a zip, and its entry in the table of contents."""
    common = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, crc, len(raw), size, len(name), 0)
    local = b"PK\3\4" + common + name + raw
    return local, b"PK\1\2" + struct.pack("<H", 20) + common + struct.pack("<HHHII", 0, 0, 0, 0, offset) + name


def end(count: int, directory: int, offset: int) -> bytes:
    return b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, count & 0xFFFF, count & 0xFFFF, directory, offset, 0)


def bomb_in_a_wheel(folder: Path) -> Path:
    """A small file that unpacks to a large one, as its header says."""
    raw = zeros(MEGABYTES)
    local, central = entry(MEMBER.encode(), raw, MEGABYTES * 2**20, 0, 0)
    (folder / WHEEL).write_bytes(local + central + end(1, len(central), len(local)))
    return folder / WHEEL


def bomb_that_lies(folder: Path) -> Path:
    """The same after valid metadata, with a header that gives only the size of these."""
    deflate = zlib.compressobj(1, wbits=-15)
    raw = deflate.compress(METADATA + b"\0" * (MEGABYTES * 2**20)) + deflate.flush()
    local, central = entry(MEMBER.encode(), raw, len(METADATA), zlib.crc32(METADATA), 0)
    (folder / WHEEL).write_bytes(local + central + end(1, len(central), len(local)))
    return folder / WHEEL


def bombs_that_overlap(folder: Path) -> Path:
    """Many members at one place in the file."""
    local, central = entry(MEMBER.encode(), zeros(2), 2**21, zlib.crc32(b"\0" * 2**21), 0)
    directory = central * 1000
    (folder / WHEEL).write_bytes(local + directory + end(1000, len(directory), len(local)))
    return folder / WHEEL


def bomb_that_is_no_metadata(folder: Path) -> Path:
    """A large file with a header that says that it may be a credential."""
    local, central = entry(b"package.json", zeros(MEGABYTES), 1000, 0, 0)
    (folder / WHEEL).write_bytes(local + central + end(1, len(central), len(local)))
    return folder / WHEEL


def very_much_json(folder: Path) -> Path:
    """Many small files that may be credentials, at one place in the file."""
    deflate = zlib.compressobj(1, wbits=-15)
    raw = deflate.compress(b" " * 60_000) + deflate.flush()
    local, central = entry(b"package.json", raw, 60_000, zlib.crc32(b" " * 60_000), 0)
    (folder / WHEEL).write_bytes(local + central * 100 + end(100, len(central) * 100, len(local)))
    return folder / WHEEL


def table_of_contents_alone(folder: Path) -> Path:
    """Very many entries without members."""
    directory = entry(b"x", b"", 0, 0, 0)[1] * 200_000
    (folder / WHEEL).write_bytes(directory + end(200_000, len(directory), 0))
    return folder / WHEEL


def deep_paths(folder: Path) -> Path:
    """Few members, with very many parts in their paths."""
    directory = entry(b"ab/" * 20_000 + b"METADATA", b"", 0, 0, 0)[1] * 15
    (folder / WHEEL).write_bytes(directory + end(15, len(directory), 0))
    return folder / WHEEL


def huge_metadata(folder: Path) -> Path:
    return wheel(folder, {MEMBER: METADATA + b"\n" + b"hello\n" * 5_000_000})


def bomb_in_an_sdist(folder: Path) -> Path:
    """A file of 12 GiB before the metadata."""
    header = tarfile.TarInfo("sample-1.0/zeros")
    header.size = 12 * 1024**3
    deflate = zlib.compressobj(1, wbits=31)
    content = deflate.compress(header.tobuf() + b"\0" * 2**20) + deflate.flush()
    (folder / SDIST).write_bytes(content)
    return folder / SDIST


def huge_pkg_info(folder: Path) -> Path:
    return sdist(folder, (tarfile.TarInfo("sample-1.0/PKG-INFO"), METADATA + b"\n" + b"hello\n" * 5_000_000))


def huge_path(folder: Path) -> Path:
    """A very long path, in a header of its own."""
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, MEGABYTES * 2**20
    with gzip.open(folder / SDIST, "wb", compresslevel=1) as file:
        file.write(header.tobuf() + b"a" * header.size)
    return folder / SDIST


def sparse_map(folder: Path) -> Path:
    """A very large map of a sparse file."""
    header = tarfile.TarInfo("sample-1.0/PKG-INFO")
    header.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "x"}
    header.size = MEGABYTES * 2**20
    with gzip.open(folder / SDIST, "wb", compresslevel=1) as file:
        file.write(header.tobuf(tarfile.PAX_FORMAT) + b"30000000\n" + b"1\n" * (header.size // 2))
    return folder / SDIST


def headers_of_all_members(folder: Path) -> Path:
    """Global headers that every member gets a copy of."""
    headers = {f"k{number}": "v" for number in range(5000)}
    with tarfile.open(folder / SDIST, "w:gz", format=tarfile.PAX_FORMAT, pax_headers=headers) as archive:
        for number in range(200):
            archive.addfile(tarfile.TarInfo(f"sample-1.0/{number}"))
    return folder / SDIST


def very_many_members(folder: Path) -> Path:
    block = tarfile.TarInfo("sample-1.0/x").tobuf()
    with gzip.open(folder / SDIST, "wb", compresslevel=1) as file:
        file.write(block * 3000)
    return folder / SDIST


def nested_message(folder: Path) -> Path:
    """MIME parts nested in each other: 1 MB took the parser half a minute."""
    parts = b"".join(b"Content-Type: multipart/mixed; boundary=%dx\n\n--%dx\n" % (each, each) for each in range(250))
    return wheel(folder, {MEMBER: METADATA + parts + b"\n" * 1_000_000})


@pytest.mark.usefixtures("_small_limits")
@pytest.mark.parametrize(
    ("make", "detail"),
    [
        (bomb_in_a_wheel, "METADATA unpacks to more than"),
        (bomb_that_lies, "METADATA unpacks to more than"),
        (bombs_that_overlap, "METADATA unpacks to more than"),
        (table_of_contents_alone, "the headers of the archive are too large"),
        (deep_paths, "too many members"),
        (huge_metadata, "METADATA unpacks to more than"),
        (bomb_that_is_no_metadata, "package.json unpacks to more than 65536 bytes"),
        (very_much_json, "too many JSON files"),
        (bomb_in_an_sdist, "unpacks to more than 8 GiB"),
        (huge_pkg_info, "has more than 3 MiB of metadata"),
        (huge_path, "the headers of the archive are too large"),
        (sparse_map, "the headers of the archive are too large"),
        (headers_of_all_members, "too many members"),
        (very_many_members, "too many members"),
        (nested_message, "content-type"),
    ],
)
def test_refuses_a_malicious_archive(tmp_path: Path, make: Callable[[Path], Path], detail: str) -> None:
    path = make(tmp_path)
    with pytest.raises(BuildFailure) as caught:
        read(path)
    assert detail in caught.value.detail


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_refuses_metadata_with_another_compression(tmp_path: Path, compression: int) -> None:
    with pytest.raises(BuildFailure) as caught:
        distribution.read(wheel(tmp_path, {MEMBER: METADATA}, compression))
    assert "neither stored nor deflated" in caught.value.detail


def test_refuses_an_encrypted_member(tmp_path: Path) -> None:
    content = bytearray(wheel(tmp_path, {MEMBER: METADATA}, zipfile.ZIP_STORED).read_bytes())
    content[6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    (tmp_path / WHEEL).write_bytes(content)
    with pytest.raises(BuildFailure) as caught:
        distribution.read(tmp_path / WHEEL)
    assert "encrypted" in caught.value.detail


def test_refuses_a_name_in_a_wrong_encoding(tmp_path: Path) -> None:
    content = wheel(tmp_path, {"zoë": b"", MEMBER: METADATA}).read_bytes()
    (tmp_path / WHEEL).write_bytes(content.replace("zoë".encode(), b"zo\xff\xfe"))
    with pytest.raises(BuildFailure):
        distribution.read(tmp_path / WHEEL)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE])
def test_refuses_metadata_that_are_not_a_file(tmp_path: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("sample-1.0/PKG-INFO")
    member.type, member.linkname = kind, "../../../etc/passwd"
    with pytest.raises(BuildFailure):
        distribution.read(sdist(tmp_path, (member, b"")))


@pytest.mark.skipif(sys.platform != "linux", reason="needs sparse files")
def test_reads_a_wheel_of_two_gigabytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HashManager, "hash", lambda _: None)
    path = make_wheel(tmp_path)
    whole = path.read_bytes()
    start = whole.index(b"PK\1\2")
    with path.open("wb") as file:  # the members come after a hole, which takes no space on the disk
        file.seek(2**31)
        file.write(whole[:start])
        directory = whole[start : whole.index(b"PK\5\6")]
        position = 0
        moved = b""
        while position < len(directory):
            length = 46 + sum(struct.unpack_from("<HHH", directory, position + 28))
            offset = struct.unpack_from("<I", directory, position + 42)[0] + 2**31
            moved += directory[position : position + 42] + struct.pack("<I", offset)
            moved += directory[position + 46 : position + length]
            position += length
        file.write(moved + end(4, len(moved), 2**31 + start))
    assert read(path).size == path.stat().st_size


def test_an_sdist_with_all_that_tar_has(tmp_path: Path) -> None:
    started = time.process_time()
    long = tarfile.TarInfo("sample-1.0/" + "long/" * 100 + "ä.py")
    link = tarfile.TarInfo("sample-1.0/link")
    link.type, link.linkname = tarfile.SYMTYPE, "PKG-INFO"
    attributes = tarfile.TarInfo("sample-1.0/attributes")
    attributes.pax_headers = {"SCHILY.xattr.user.note": "x" * 20_000}
    pkg_info = tarfile.TarInfo("sample-1.0/PKG-INFO")
    egg_info = tarfile.TarInfo("sample-1.0/sample.egg-info/PKG-INFO")
    members = [(long, b""), (link, b""), (attributes, b"x" * 5_000_000), (egg_info, METADATA), (pkg_info, METADATA)]
    assert distribution.read(sdist(tmp_path, *members)).name == "sample"
    assert time.process_time() - started < 20
