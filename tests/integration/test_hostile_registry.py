"""Files of the registry that are made to look identical, or to use up time or memory."""

import gzip
import io
import json
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from gar_emulator import Emulator
from gar_emulator.world.world import Repository
from tests.integration.frontdoors import DIRECT, PUBLISH, Doors, statuses, uploads
from tests.stored import store_bytes
from tests.wheels import make_sdist, make_wheel

PYTHON = Repository("demo-project", "us-central1", "python")
MB = 1024 * 1024
_ZEROS = zlib.compressobj(9, zlib.DEFLATED, -15)
ZEROS = _ZEROS.compress(bytes(MB)) + _ZEROS.flush(zlib.Z_FULL_FLUSH)
"""A deflated MB of zeros, which may be repeated."""

MEASURED = """
import re, time
from gar_publish.cli.main import main
code = main()
print(time.process_time(), re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
raise SystemExit(code)
"""
"""The command, which prints its seconds of CPU time and its peak memory in KB."""


def with_member(wheel: bytes, name: str, raw: bytes, *, size: int, times: int = 1) -> bytes:
    """Return a wheel with one more member, of which the headers say what they like."""
    data, directory, end = wheel[: wheel.index(b"PK\1\2")], wheel[wheel.index(b"PK\1\2") : -22], wheel[-22:]
    count = struct.unpack_from("<H", end, 8)[0] + times
    common = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, 0, len(raw), size, len(name), 0)
    entry = b"PK\1\2" + struct.pack("<H", 20) + common + struct.pack("<HHHII", 0, 0, 0, 0, len(data)) + name.encode()
    data += b"PK\3\4" + common + name.encode() + raw
    directory += entry * times
    counts = struct.pack("<HH", count & 0xFFFF, count & 0xFFFF)
    return data + directory + b"PK\5\6\0\0\0\0" + counts + struct.pack("<IIH", len(directory), len(data), 0)


def bomb(wheel: bytes) -> bytes:
    return with_member(wheel, "zeros", ZEROS * 300, size=300 * MB)


def bomb_that_lies(wheel: bytes) -> bytes:
    return with_member(wheel, "zeros", ZEROS * 300, size=5)


def million_members(wheel: bytes) -> bytes:
    return with_member(wheel, "x", b"\3\0", size=0, times=1_000_000)


def changed(wheel: bytes) -> bytes:
    """Change the module, and not its line in RECORD."""
    return repacked(wheel, lambda name, text: b"evil()" if name.endswith(".py") else text)


def forged_checksum(wheel: bytes) -> bytes:
    """Change the module, and neither the checksums nor RECORD."""
    return wheel.replace(b"x = 1\n", b"x = 2\n", 1)


def twice(wheel: bytes) -> bytes:
    """Add the module again: some programs take the first one, some the last."""
    with io.BytesIO(wheel) as file:
        with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr(next(name for name in archive.namelist() if name.endswith(".py")), "evil()")
        return file.getvalue()


def leaving(wheel: bytes) -> bytes:
    with io.BytesIO(wheel) as file:
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr("../../evil.py", "evil()")
        return file.getvalue()


def renamed(wheel: bytes) -> bytes:
    """Give the module another name in the header that only some programs read."""
    name = wheel[30 : 30 + struct.unpack_from("<H", wheel, 26)[0]]
    return wheel.replace(name, name[::-1], 1)


def repacked(wheel: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    with io.BytesIO() as file:
        with zipfile.ZipFile(io.BytesIO(wheel)) as ours, zipfile.ZipFile(file, "w") as theirs:
            for info in ours.infolist():
                theirs.writestr(info, change(info.filename, ours.read(info)))
        return file.getvalue()


def bomb_in_an_sdist(sdist: bytes) -> bytes:
    header = tarfile.TarInfo("sample-1.0/zeros")
    header.size = 300 * MB
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    members = gzip.decompress(sdist).rstrip(b"\0")
    start = deflate.compress(members + bytes(-len(members) % 512) + header.tobuf())
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + start + deflate.flush(zlib.Z_FULL_FLUSH) + ZEROS * 300


def link_that_leaves(sdist: bytes) -> bytes:
    link = tarfile.TarInfo("sample-1.0/link")
    link.type, link.linkname = tarfile.SYMTYPE, "../../../etc/passwd"
    with io.BytesIO(gzip.decompress(sdist)) as file:
        with tarfile.open(fileobj=file, mode="a") as archive:
            archive.addfile(link)
        return gzip.compress(file.getvalue())


WHEELS: Mapping[str, tuple[Callable[[bytes], bytes], str]] = {
    "bomb": (bomb, "the archive unpacks to more than 256 MiB"),
    "bomb-that-lies": (bomb_that_lies, "zeros does not have the size and the checksum of its header"),
    "million-members": (million_members, "the archive has too many members"),
    "changed": (changed, "changed.py does not have the SHA-256 and the size that RECORD has for it"),
    "forged-checksum": (forged_checksum, "forged_checksum.py does not have the size and the checksum of its header"),
    "twice": (twice, "twice.py is in the archive twice"),
    "leaving": (leaving, "../../evil.py is not a plain path inside the archive"),
    "renamed": (renamed, "the headers of renamed.py do not agree"),
}
SDISTS: Mapping[str, tuple[Callable[[bytes], bytes], str]] = {
    "bomb-in-an-sdist": (bomb_in_an_sdist, "the archive unpacks to more than 256 MiB"),
    "link-that-leaves": (link_that_leaves, "sample-1.0/link is a link that leaves the archive"),
}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak memory is read from there")
def test_a_hostile_file_of_the_registry_is_never_identical(doors: Doors, emulator: Emulator) -> None:
    """Also, it takes a run neither long nor much memory to see that, and the other packages are published."""
    dist = doors.folder / "dist"
    reasons = {}
    for name, (make, reason) in {**WHEELS, **SDISTS}.items():
        if name in WHEELS:
            ours = make_wheel(dist, name, content="x = 1\n")
        else:
            metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
            ours = make_sdist(dist, f"{name.replace('-', '_')}-1.0.tar.gz", metadata)
        store_bytes(emulator, PYTHON, ours.name, make(ours.read_bytes()))
        reasons[ours.name] = reason
    free = make_wheel(dist, "free")
    command = [sys.executable, "-c", MEASURED, *PUBLISH, *DIRECT, "--json", "report.json", "--dist", "dist"]
    done = subprocess.run(
        command, cwd=doors.folder, env=doors.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
    )
    report = json.loads((doors.folder / "report.json").read_text())
    assert done.returncode == 5
    assert statuses(report) == {free.name: "uploaded", **dict.fromkeys(reasons, "failed")}
    assert [seen.status for seen in uploads(emulator)] == [200]
    said = {failure["what"] for failure in report["failures"]}
    assert said == {
        f"The registry already has {filename} with different contents: the published file cannot be compared: {reason}."
        for filename, reason in reasons.items()
    }
    seconds, kilobytes = done.stdout.split()
    assert float(seconds) < 20
    assert int(kilobytes) < 150_000
