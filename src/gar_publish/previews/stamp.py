"""Give a built wheel another version, and exact versions of the packages that belong with it.

The wheel is changed, not the project, so that this works with each build backend and with versions from git. Only the
metadata are written again (https://packaging.python.org/en/latest/specifications/binary-distribution-format/).
"""

import base64
import contextlib
import csv
import hashlib
import io
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from gar_publish.distributions import archives, filenames
from gar_publish.distributions.distribution import unreadable

_RECORD_LIMIT = 32 * 1024 * 1024
_BLANK_LINE = re.compile(rb"(?<=\n)\r?\n")
_FIELD = re.compile(rb"[^\n]*\n(?:[ \t][^\n]*\n)*|[^\n]+")
"""A field of METADATA with its continuation lines."""

_LOCAL_HEADER = 30
"""Bytes of a member's own header, before its name and its extra field (section 4.3.7 of the zip specification)."""
_ENCRYPTED = 1
_PART = 1024 * 1024


@dataclass(frozen=True)
class Wheel:
    """A built wheel.

    Attributes:
        path: The file.
        name: The normalised name.
        version: The version.
        metadata: Its METADATA.
        requires: The normalised names of its requirements, with those of extras.
    """

    path: Path
    name: str
    version: Version
    metadata: bytes
    requires: frozenset[str]

    @property
    def filename(self) -> str:
        return self.path.name


def read(path: Path, credential: bytes = b"") -> Wheel:
    """Read a built wheel, in bounded time and memory.

    Args:
        path: The file.
        credential: The content of the credentials file of this run, if it has one; no member may be that.

    Raises:
        BuildFailure: It is not a valid wheel, or has a credential in it.
    """
    name, version, _ = filenames.parse(path.name)
    try:
        archives.check(path, credential)
        with zipfile.ZipFile(path) as archive:
            metadata = archives.read(
                archive, archive.getinfo(f"{_info(archive, name, version)}/METADATA"), archives.METADATA_LIMIT
            )
        fields, _ = _split(metadata)
        requires = {canonicalize_name(each.name) for each in map(_requirement, fields) if each}
    except archives.UNREADABLE as error:
        raise unreadable(path, error) from error
    return Wheel(path, name, version, metadata, frozenset(requires))


def stamp(wheel: Wheel, versions: Mapping[str, str], folder: Path) -> Path:
    """Write a wheel with another version, which requires exact versions of the packages that have one here.

    Extras and markers are kept, and so are the description and the compressed bytes of all other members. Signatures of
    RECORD are left out, since they would no longer be valid.

    Args:
        wheel: The wheel.
        versions: The versions of this package and of others, by their normalised names.
        folder: Where the new file goes.

    Returns:
        The new file.

    Raises:
        BuildFailure: The wheel is damaged.
    """
    version = versions[wheel.name]
    parts = wheel.filename.split("-")
    target = folder / "-".join([parts[0], version, *parts[2:]])
    try:
        with zipfile.ZipFile(wheel.path) as archive, wheel.path.open("rb") as source:
            if sum(each.compress_size for each in archive.infolist()) > wheel.path.stat().st_size:
                raise ValueError("members overlap")
            tops = {
                top: f"{top.removesuffix(suffix).rpartition('-')[0]}-{version}{suffix}"
                for suffix in (".dist-info", ".data")
                for top in _folders(archive, suffix, wheel.name, wheel.version)
            }
            info = _info(archive, wheel.name, wheel.version)
            metadata = _stamped_metadata(wheel.metadata, version, versions)
            record = archives.read(archive, archive.getinfo(f"{info}/RECORD"), _RECORD_LIMIT)
            written = {
                f"{info}/METADATA": metadata,
                f"{info}/RECORD": _stamped_record(record.decode(), info, tops, metadata),
            }
            with zipfile.ZipFile(target, "w") as stamped:
                for each in archive.infolist():
                    if each.filename not in _signatures(info):
                        _add(stamped, each, _moved(each.filename, tops), written.get(each.filename), source)
    except (csv.Error, *archives.UNREADABLE) as error:
        raise unreadable(wheel.path, error) from error
    return target


def _folders(archive: zipfile.ZipFile, suffix: str, name: str, version: Version) -> set[str]:
    """Return the top folders `NAME-VERSION` with a suffix, however the name and the version are spelt."""
    tops = {each.filename.partition("/")[0] for each in archive.infolist()}
    found = set()
    for top in tops:
        theirs, _, spelt = top.removesuffix(suffix).rpartition("-")
        with contextlib.suppress(InvalidVersion):
            if top.endswith(suffix) and canonicalize_name(theirs) == name and Version(spelt) == version:
                found.add(top)
    return found


def _info(archive: zipfile.ZipFile, name: str, version: Version) -> str:
    found = _folders(archive, ".dist-info", name, version)
    if len(found) != 1:
        raise ValueError(f"{len(found)} .dist-info folders of {name} {version}")
    return found.pop()


def _moved(path: str, tops: Mapping[str, str]) -> str:
    top, slash, rest = path.partition("/")
    return tops.get(top, top) + slash + rest


def _signatures(info: str) -> set[str]:
    return {f"{info}/RECORD.jws", f"{info}/RECORD.p7s"}


def _split(metadata: bytes) -> tuple[list[bytes], bytes]:
    """Return the fields, and the rest: the blank line and the description."""
    blank = _BLANK_LINE.search(metadata)
    end = blank.start() if blank else len(metadata)
    return _FIELD.findall(metadata[:end]), metadata[end:]


def _requirement(field: bytes) -> Requirement | None:
    name, _, value = field.partition(b":")
    if name.strip().lower() != b"requires-dist":
        return None
    try:
        return Requirement(" ".join(value.decode().split()))
    except (InvalidRequirement, RecursionError):  # an installer ignores or refuses it
        return None


def _stamped_metadata(metadata: bytes, version: str, versions: Mapping[str, str]) -> bytes:
    fields, rest = _split(metadata)
    written, count = [], 0
    for field in fields:
        end = b"\r\n" if field.endswith(b"\r\n") else b"\n"
        requirement = _requirement(field)
        if field.partition(b":")[0].strip().lower() == b"version":
            count += 1
            written.append(f"Version: {version}".encode() + end)
        elif requirement and (pin := versions.get(canonicalize_name(requirement.name))):
            extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
            marker = f" ; {requirement.marker}" if requirement.marker else ""
            written.append(f"Requires-Dist: {requirement.name}{extras}=={pin}{marker}".encode() + end)
        else:
            written.append(field)
    if count != 1:
        raise ValueError(f"{count} fields Version")
    return b"".join(written) + rest


def _stamped_record(record: str, info: str, tops: Mapping[str, str], metadata: bytes) -> bytes:
    """Return RECORD with the new paths, and the hash and the size of the new METADATA."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(metadata).digest()).rstrip(b"=").decode()
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    for row in csv.reader(io.StringIO(record, newline="")):
        if row and row[0] not in _signatures(info):
            is_metadata = row[0] == f"{info}/METADATA"
            rest = [f"sha256={digest}", str(len(metadata))] if is_metadata else row[1:]
            writer.writerow([_moved(row[0], tops), *rest])
    return written.getvalue().encode()


def _add(
    stamped: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, content: bytes | None, source: IO[bytes]
) -> None:
    """Add a member under a new name: with a new content, or with its compressed bytes in `source`."""
    added = zipfile.ZipInfo(name, member.date_time)
    added.compress_type, added.external_attr = member.compress_type, member.external_attr
    added.create_system = member.create_system
    if content is not None:
        stamped.writestr(added, content)
        return
    source.seek(member.header_offset)
    header = source.read(_LOCAL_HEADER)
    if not header.startswith(b"PK\3\4") or member.flag_bits & _ENCRYPTED:
        raise zipfile.BadZipFile(f"{member.filename} is damaged or encrypted")
    source.seek(sum(int.from_bytes(header[at : at + 2], "little") for at in (26, 28)), io.SEEK_CUR)
    added.CRC, added.compress_size, added.file_size = member.CRC, member.compress_size, member.file_size
    # ZipFile compresses whatever it is given, so this does what its own methods do before and after that.
    target = cast("IO[bytes]", stamped.fp)
    added.header_offset = target.tell()
    target.write(added.FileHeader())
    left = member.compress_size
    while left:
        part = source.read(min(left, _PART))
        if not part:
            raise EOFError(f"{member.filename} is cut off")
        target.write(part)
        left -= len(part)
    stamped.filelist.append(added)
    stamped.NameToInfo[name] = added
    stamped.start_dir = target.tell()
