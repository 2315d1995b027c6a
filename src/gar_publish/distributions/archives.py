"""Limit the time and memory that reading an archive takes.

A few kilobytes can unpack to gigabytes, a header can lie about its size, and an archive can be a table of contents
without files. twine, `zipfile` and `tarfile` trust all of them, so each archive is checked before they read it.
"""

import contextlib
import copy
import gzip
import io
import re
import tarfile
import zipfile
import zlib
from pathlib import Path

from gar_publish.distributions import credentials
from gar_publish.errors import BuildFailure

UNREADABLE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    EOFError,
    OSError,
    LookupError,
    ValueError,
    RuntimeError,  # an encrypted member
)
"""What libraries raise for an archive that they cannot read."""

METADATA_LIMIT = 2 * 1024 * 1024
"""Bytes of all files in an archive that may be its metadata."""

_JSON_LIMIT = 1024**3
"""Bytes of all files in a wheel that may be credentials."""

DIRECTORY_LIMIT = 16 * 1024 * 1024
"""Bytes of a zip's table of contents: more than 100,000 files of usual names."""

MEMBERS_LIMIT = 128 * 1024 * 1024
"""Bytes of memory for the list of members."""

HEADER_LIMIT = 64 * 1024
"""Bytes of the headers of one tar member: paths, extended attributes, maps of sparse files."""

UNPACKED_LIMIT = 8 * 1024**3
"""Bytes of an unpacked sdist, which must be read to the end."""

_MIME = re.compile(rb"(?:\A|[\r\n])content-type:", re.IGNORECASE)
_BLANK_LINE = re.compile(rb"(?>\r\n|\r|\n){2}")


def check(path: Path, credential: bytes = b"") -> None:
    """Check that a wheel or an sdist has metadata that can be read in bounded time and memory, and no credential.

    Args:
        path: The archive.
        credential: The content of the credentials file of this run, if it has one.

    Raises:
        BuildFailure: A member is a credential.
        ValueError: The metadata cannot be read in bounded time and memory.
        OSError, EOFError, RuntimeError, tarfile.TarError, zipfile.BadZipFile, zlib.error: The archive is damaged.
    """
    if path.name.endswith(".tar.gz"):
        _check_tar(path, credential)
    else:
        _check_zip(path, credential)


def missing(wheel: Path, other: Path) -> list[str]:
    """Return the members that another wheel has and this one has not, without metadata.

    Nothing is returned if the other one cannot be read: it was not checked.
    """
    with contextlib.suppress(*UNREADABLE, BuildFailure):
        check(other)
        with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(other) as two:
            names = sorted(set(two.namelist()) - set(one.namelist()))
        return [name for name in names if ".dist-info/" not in name]
    return []


class Frugal(io.BufferedReader):
    """A file that returns at most `left` bytes until that is set again, and nothing after `end`."""

    left: int
    end: float = float("inf")

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(self.left + 1 if size is None or size < 0 else min(size, self.left + 1))
        self.left -= len(content)
        if self.left < 0:
            raise ValueError("the headers of the archive are too large")
        return content

    def seek(self, target: int, whence: int = 0, /) -> int:
        if target > self.end:
            raise ValueError(f"the archive unpacks to more than {self.end / 1024**3:.0f} GiB")
        return super().seek(target, whence)


def _check_zip(path: Path, credential: bytes) -> None:
    with path.open("rb", buffering=0) as file, Frugal(file) as frugal:
        frugal.left = DIRECTORY_LIMIT
        with zipfile.ZipFile(frugal) as archive:
            if sum(memory_of(info.filename) for info in archive.infolist()) > MEMBERS_LIMIT:
                raise ValueError("the archive has too many members")
            left, left_json = METADATA_LIMIT, _JSON_LIMIT
            for info in archive.infolist():
                frugal.left = METADATA_LIMIT + HEADER_LIMIT
                if "METADATA" in info.filename or info.filename.endswith("PKG-INFO"):
                    content = read(archive, info, left)
                    left -= len(content)
                    check_fields(content)
                elif credentials.may_be(info.filename, info.file_size, credential):
                    left_json -= info.file_size
                    if left_json < 0:
                        raise ValueError("the archive has too many JSON files")
                    content = read(archive, info, credentials.LIMIT)
                    credentials.refuse(path.name, info.filename, content, credential)


def read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> bytes:
    """Return the content of a member, of the real size, whatever its header says.

    Raises:
        ValueError: It has more than `limit` bytes, or is compressed in an unusual way.
        OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error: The archive is damaged.
    """
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise ValueError(f"{info.filename} is neither stored nor deflated")
    unlimited = copy.copy(info)
    unlimited.file_size = limit + 2  # zipfile stops at the size in the header, and compares the checksum there
    with archive.open(unlimited) as member:
        content = member.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"{info.filename} unpacks to more than {limit} bytes")
    if len(content) != info.file_size:
        raise ValueError(f"{info.filename} has {len(content)} bytes, but its header says {info.file_size}")
    return content


def _check_tar(path: Path, credential: bytes) -> None:
    with gzip.open(path) as unpacked, Frugal(unpacked) as frugal:
        frugal.left, frugal.end = HEADER_LIMIT, UNPACKED_LIMIT
        with tarfile.open(fileobj=frugal, mode="r:") as archive:
            memory, left = 0, METADATA_LIMIT
            for member in archive:
                memory += memory_of(member.name, len(member.pax_headers))
                if memory > MEMBERS_LIMIT:
                    raise ValueError("the archive has too many members")
                frugal.left = member.size + HEADER_LIMIT
                if member.name.endswith("PKG-INFO"):
                    left -= member.size
                    if left < 0:
                        raise ValueError(f"{member.name} has more than {METADATA_LIMIT / 1024**2:.0f} MiB of metadata")
                    if content := archive.extractfile(member):
                        check_fields(content.read())
                elif (
                    member.isreg()
                    and credentials.may_be(member.name, member.size, credential)
                    and (content := archive.extractfile(member))
                ):
                    credentials.refuse(path.name, member.name, content.read(), credential)
                frugal.left = HEADER_LIMIT


def check_fields(content: bytes) -> None:
    """Refuse metadata with a MIME type: the parts of a nested message take time that grows with their depth."""
    head = _BLANK_LINE.search(content)
    if _MIME.search(content, 0, head.start() if head else len(content)):
        raise ValueError("unrecognized or malformed field 'content-type'")


def memory_of(name: str, headers: int = 0) -> int:
    """Return roughly the bytes of memory for a member and for comparing the parts of its path."""
    return 1000 + len(name) + 60 * (headers + name.count("/"))
