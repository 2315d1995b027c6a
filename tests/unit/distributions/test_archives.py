"""Archives that were made to hurt. Each is looked at in a process of its own, whose memory is measured."""

import gzip
import io
import os
import struct
import subprocess
import sys
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from gar_publish.distributions import distribution
from gar_publish.errors import BuildFailure
from tests.wheels import make_wheel

METADATA = b"Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n"
WHEEL = "sample-1.0-py3-none-any.whl"
SDIST = "sample-1.0.tar.gz"
MEMBER = "sample-1.0.dist-info/METADATA"
MEGABYTES = 400
"""More than a look at any of these files may take, imports included, and less than what they hold."""

_READ = """
import re, sys, time
from pathlib import Path
from gar_publish import distributions
from gar_publish.errors import BuildFailure
from twine.package import HashManager
if "unhashed" in sys.argv:
    HashManager.hash = lambda self: None
started = time.process_time()
try:
    print(distributions.read(Path(sys.argv[1])).size)
except BuildFailure as failure:
    print(failure.detail.splitlines()[0])
seconds = time.process_time() - started
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(int(peak[1]) // 1024, seconds)
"""


def read(path: Path, *options: str) -> str:
    """What reading the file comes to, within bounds of time and memory: the process's own, unlike ru_maxrss."""
    command: list[str | Path] = [sys.executable, "-c", _READ, path, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    said, costs = done.stdout.rsplit("\n", 2)[:2]
    megabytes, seconds = costs.split()
    assert int(megabytes) < MEGABYTES
    assert float(seconds) < 60
    return said


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
    """That many megabytes, deflated."""
    deflate = zlib.compressobj(1, wbits=-15)
    return b"".join([*(deflate.compress(b"\0" * 2**20) for _ in range(megabytes)), deflate.flush()])


def entry(name: bytes, raw: bytes, size: int, crc: int, offset: int) -> tuple[bytes, bytes]:
    """A deflated member of a zip as it stands in the file, and in the table of contents."""
    common = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, crc, len(raw), size, len(name), 0)
    local = b"PK\3\4" + common + name + raw
    return local, b"PK\1\2" + struct.pack("<H", 20) + common + struct.pack("<HHHII", 0, 0, 0, 0, offset) + name


def end(count: int, directory: int, offset: int) -> bytes:
    return b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, count & 0xFFFF, count & 0xFFFF, directory, offset, 0)


def bomb_in_a_wheel(folder: Path) -> Path:
    """Two megabytes that unpack to half a gigabyte, and say so."""
    raw = zeros(512)
    local, central = entry(MEMBER.encode(), raw, 2**29, 0, 0)
    (folder / WHEEL).write_bytes(local + central + end(1, len(central), len(local)))
    return folder / WHEEL


def bomb_that_lies(folder: Path) -> Path:
    """Two megabytes that unpack to half a gigabyte, and say that they hold valid metadata alone."""
    deflate = zlib.compressobj(1, wbits=-15)
    raw = deflate.compress(METADATA) + b"".join(deflate.compress(b"\0" * 2**20) for _ in range(512)) + deflate.flush()
    local, central = entry(MEMBER.encode(), raw, len(METADATA), zlib.crc32(METADATA), 0)
    (folder / WHEEL).write_bytes(local + central + end(1, len(central), len(local)))
    return folder / WHEEL


def bombs_that_overlap(folder: Path) -> Path:
    """Ten thousand members that are one and the same: 16 kB, which unpack to 15 MB each."""
    local, central = entry(MEMBER.encode(), zeros(15), 15 * 2**20, zlib.crc32(b"\0" * 15 * 2**20), 0)
    directory = central * 10_000
    (folder / WHEEL).write_bytes(local + directory + end(10_000, len(directory), len(local)))
    return folder / WHEEL


def table_of_contents_alone(folder: Path) -> Path:
    """A million members, none of which is there."""
    directory = entry(b"x", b"", 0, 0, 0)[1] * 1_000_000
    (folder / WHEEL).write_bytes(directory + end(1_000_000, len(directory), 0))
    return folder / WHEEL


def deep_paths(folder: Path) -> Path:
    """Few members, whose paths have millions of parts."""
    directory = entry(b"ab/" * 20_000 + b"METADATA", b"", 0, 0, 0)[1] * 250
    (folder / WHEEL).write_bytes(directory + end(250, len(directory), 0))
    return folder / WHEEL


def huge_metadata(folder: Path) -> Path:
    return wheel(folder, {MEMBER: METADATA + b"\n" + b"hello\n" * 5_000_000})


def bomb_in_an_sdist(folder: Path) -> Path:
    """A file of 12 GiB in front of the metadata."""
    header = tarfile.TarInfo("sample-1.0/zeros")
    header.size = 12 * 1024**3
    deflate = zlib.compressobj(1, wbits=31)
    megabyte = b"\0" * 2**20
    with (folder / SDIST).open("wb") as file:
        file.write(deflate.compress(header.tobuf()))
        for _ in range(64):
            file.write(deflate.compress(megabyte))
        file.write(deflate.flush())
    return folder / SDIST


def huge_pkg_info(folder: Path) -> Path:
    return sdist(folder, (tarfile.TarInfo("sample-1.0/PKG-INFO"), METADATA + b"\n" + b"hello\n" * 5_000_000))


def huge_path(folder: Path) -> Path:
    """A path of 300 MB, which a header of its own brings."""
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 300 * 2**20
    with gzip.open(folder / SDIST, "wb", compresslevel=1) as file:
        file.write(header.tobuf())
        for _ in range(300):
            file.write(b"a" * 2**20)
    return folder / SDIST


def sparse_map(folder: Path) -> Path:
    """A map of a sparse file, with a hundred million entries of two bytes."""
    header = tarfile.TarInfo("sample-1.0/PKG-INFO")
    header.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "x"}
    header.size = 200 * 2**20
    with gzip.open(folder / SDIST, "wb", compresslevel=1) as file:
        file.write(header.tobuf(tarfile.PAX_FORMAT))
        file.write(b"90000000\n")
        for _ in range(200):
            file.write(b"1\n" * 2**19)
    return folder / SDIST


def headers_of_all_members(folder: Path) -> Path:
    """Global headers, which every member gets a copy of."""
    headers = {f"k{number}": "v" for number in range(5000)}
    with tarfile.open(folder / SDIST, "w:gz", format=tarfile.PAX_FORMAT, pax_headers=headers) as archive:
        for number in range(20_000):
            archive.addfile(tarfile.TarInfo(f"sample-1.0/{number}"))
    return folder / SDIST


def very_many_members(folder: Path) -> Path:
    block = tarfile.TarInfo("sample-1.0/x").tobuf()
    with gzip.open(folder / SDIST, "wb", compresslevel=1) as file:
        for _ in range(140):
            file.write(block * 1000)
    return folder / SDIST


def nested_message(folder: Path) -> Path:
    """MIME parts in parts: 1 MB that took the parser half a minute."""
    parts = b"".join(b"Content-Type: multipart/mixed; boundary=%dx\n\n--%dx\n" % (each, each) for each in range(250))
    return wheel(folder, {MEMBER: METADATA + parts + b"\n" * 1_000_000})


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read in /proc")
@pytest.mark.parametrize(
    ("make", "said"),
    [
        (bomb_in_a_wheel, "unpacks to more than metadata can be"),
        (bomb_that_lies, "unpacks to more than metadata can be"),
        (bombs_that_overlap, "unpacks to more than metadata can be"),
        (table_of_contents_alone, "headers beyond all measure"),
        (deep_paths, "too many members"),
        (huge_metadata, "unpacks to more than metadata can be"),
        (bomb_in_an_sdist, "unpacks to more than 8 GiB"),
        (huge_pkg_info, "larger than metadata can be"),
        (huge_path, "headers beyond all measure"),
        (sparse_map, "headers beyond all measure"),
        (headers_of_all_members, "too many members"),
        (very_many_members, "too many members"),
        (nested_message, "content-type"),
    ],
)
def test_a_file_that_was_made_to_hurt_is_refused_before_it_does(
    tmp_path: Path, make: Callable[[Path], Path], said: str
) -> None:
    assert said in read(make(tmp_path))


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_metadata_are_stored_or_deflated(tmp_path: Path, compression: int) -> None:
    with pytest.raises(BuildFailure) as caught:
        distribution.read(wheel(tmp_path, {MEMBER: METADATA}, compression))
    assert "neither stored nor deflated" in caught.value.detail


def test_an_encrypted_member(tmp_path: Path) -> None:
    content = bytearray(wheel(tmp_path, {MEMBER: METADATA}, zipfile.ZIP_STORED).read_bytes())
    content[6] |= 1
    content[content.index(b"PK\1\2") + 8] |= 1
    (tmp_path / WHEEL).write_bytes(content)
    with pytest.raises(BuildFailure) as caught:
        distribution.read(tmp_path / WHEEL)
    assert "encrypted" in caught.value.detail


def test_a_name_that_is_not_what_its_encoding_says(tmp_path: Path) -> None:
    content = wheel(tmp_path, {"zoë": b"", MEMBER: METADATA}).read_bytes()
    (tmp_path / WHEEL).write_bytes(content.replace("zoë".encode(), b"zo\xff\xfe"))
    with pytest.raises(BuildFailure):
        distribution.read(tmp_path / WHEEL)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE])
def test_metadata_that_are_no_file(tmp_path: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("sample-1.0/PKG-INFO")
    member.type, member.linkname = kind, "../../../etc/passwd"
    with pytest.raises(BuildFailure):
        distribution.read(sdist(tmp_path, (member, b"")))


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read in /proc")
def test_a_wheel_of_two_gigabytes_is_fine(tmp_path: Path) -> None:
    path = make_wheel(tmp_path)
    whole = path.read_bytes()
    start = whole.index(b"PK\1\2")
    with path.open("wb") as file:  # the members stand at the end of a hole, which costs no disk
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
    assert read(path, "unhashed") == str(os.stat(path).st_size)  # noqa: PTH116 - read() gives what it printed


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
