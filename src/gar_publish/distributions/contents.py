"""Compare the contents of two files of one name: what they install decides, not how they were packed.

Another build of the same project differs in times, order, compression, and in what a new release of the build backend
writes. None of these count. The second file is not trusted: an archive in which two programs could see different
files is refused, and reading one takes bounded time and memory.
"""

import base64
import csv
import email
import email.errors
import email.header
import hashlib
import io
import posixpath
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from gar_publish.distributions import archives

_DIFFERENCES = 5
"""Differences that are named; the rest are counted."""

_SHOWN = 200
"""Characters of a name or a value in a message."""

_LARGER = 256 * 1024**2
"""Bytes that the second file may unpack to beyond those of the first: with more, the contents differ anyway."""

_LISTS_LIMIT = 16 * 1024 * 1024
"""Bytes of RECORD, or of all SOURCES.txt: as many as of a zip's table of contents."""

_CHUNK = 1024 * 1024

_END = struct.Struct("<4sIHHIIH")
"""The end of a zip without comment: disks, twice the number of members, length and place of the table of contents."""

_LOCATOR = 20
"""Bytes before it that say where to find the end of a zip with more members (zip64)."""

_ZIP64 = 0xFFFFFFFF
"""A size in a header that is given elsewhere."""

_UNREADABLE = (*archives.UNREADABLE, struct.error, csv.Error, OverflowError)

_OF_A_WHEEL = re.compile(r"[^/]+\.dist-info/(METADATA|WHEEL|RECORD)")
_OF_AN_SDIST = re.compile(r"[^/]+/PKG-INFO|[^/]+/(.+/)?[^/]+\.egg-info/(PKG-INFO|SOURCES\.txt|requires\.txt)")
_UNLISTED = re.compile(r"[^/]+\.dist-info/RECORD(\.jws|\.p7s)?")
_LICENCE = re.compile(
    r"([^/]+\.dist-info/)(?:(?:licenses/)?(LICENSES/.+)|(?:licenses/(?:.+/)?)?((?:LICEN[CS]E|COPYING|NOTICE|AUTHORS)[^/]*))"
)

_UNCOUNTED = {"metadata-version", "dynamic", "license-file", "import-name", "import-namespace", "generator"}
"""Fields that depend on the release of the backend; Generator is one of WHEEL."""

_ADDED_CLASSIFIER = re.compile(r"Programming Language :: Python :: \d+(\.\d+)?|License :: .+")
"""What poetry-core derives from `python` and `license`; the versions of Python that it knows grow."""

_EXTRA = re.compile(r'(?<=extra == ")[^"]+')
"""The name of an extra in a marker, as packaging formats it."""

Mode = Literal["file", "executable", "link", "unknown"]

_KINDS: Mapping[Mode, str] = {"file": "not executable", "executable": "executable", "link": "a link"}


@dataclass(frozen=True)
class Comparison:
    """What differs between a file and another one of its name.

    Args:
        differences: Sentences about members and metadata fields, the last one about how many more there are; empty if
            the contents are identical.
        rebuilt_by: The program that built the second file, if the first was built by another one or another release.
    """

    differences: Sequence[str]
    rebuilt_by: str


def compare(ours: Path, theirs: Path) -> Comparison:
    """Compare the contents of two wheels, or of two sdists.

    The file members, their contents and their executable bits count (but for a file without that bit in a zip made on
    Windows). RECORD must fit its archive (PEP 376, PEP 427), and then does not count. Metadata are compared by field.

    Args:
        ours: The built file.
        theirs: The published file.

    Raises:
        ValueError: One of them is damaged, malicious, or too large to compare; the message is a sentence.
    """
    built = _read("built", ours, archives.UNPACKED_LIMIT)
    published = _read("published", theirs, built.unpacked + _LARGER)
    differences = list(_differences(built, published))
    if rest := differences[_DIFFERENCES:]:
        differences[_DIFFERENCES:] = [f"and {len(rest)} more"]
    generator = _generator(published)
    return Comparison(differences, "" if generator == _generator(built) else generator)


@dataclass(frozen=True)
class _Member:
    mode: Mode
    size: int
    sha256: bytes


@dataclass
class _Contents:
    """The members of an archive by their names, and the texts of those that are compared by line or field."""

    texts_of: re.Pattern[str]
    members: dict[str, _Member] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)
    unpacked: int = 0
    left_metadata: int = archives.METADATA_LIMIT
    left_lists: int = _LISTS_LIMIT

    def add(self, name: str, mode: Mode, chunks: Iterable[bytes]) -> None:
        """Read a member from its chunks."""
        self.check_name(name)
        digest, size, text = hashlib.sha256(), 0, bytearray()
        kept = self.texts_of.fullmatch(name)
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            if kept:
                text += chunk
                self._take(name, len(chunk))
        if kept:
            self.texts[name] = bytes(text)
        self.members[name] = _Member(mode, size, digest.digest())

    def _take(self, name: str, size: int) -> None:
        if name.endswith(("/RECORD", "/SOURCES.txt")):
            self.left_lists -= size
        else:
            self.left_metadata -= size
        if self.left_lists < 0 or self.left_metadata < 0:
            raise ValueError(f"{_shown(name)} is too large")

    def check_name(self, name: str) -> None:
        if name in self.members:
            raise ValueError(f"{_shown(name)} is in the archive twice")
        if re.search(r"[\\\0]|^[A-Za-z]:", name) or any(part in {"", ".", ".."} for part in name.split("/")):
            raise ValueError(f"{_shown(name)} is not a plain path inside the archive")


def _read(which: str, path: Path, limit: int) -> _Contents:
    try:
        if path.name.endswith(".tar.gz"):
            return _read_tar(path, limit)
        contents = _read_zip(path, limit)
        if path.suffix == ".whl":
            _check_record(contents)
    except _UNREADABLE as error:
        raise ValueError(f"the {which} file cannot be compared: {error}") from error
    return contents


def _mode(bits: int, *, may_say: bool = True) -> Mode:
    if bits & 0o111:
        return "executable"
    return "file" if may_say else "unknown"


def _table_of_contents(path: Path) -> tuple[Sequence[zipfile.ZipInfo], int]:
    """Return the members of a zip in their order in the file, which they must fill, and the end of the last one."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(size - _LOCATOR - _END.size, 0))
        tail = file.read()
        signature, disks, counted, count, length, end, comment = _END.unpack(tail[-_END.size :])
        expected = b"PK\5\6", 0, count, size - _END.size, 0
        if (signature, disks, counted, end + length, comment) != expected or tail.startswith(b"PK\6\7"):
            raise ValueError("the archive has data before or after its members, or more than 65535 of them")
        file.seek(end)
        if length > archives.DIRECTORY_LIMIT or file.read(length).count(b"PK\1\2") != count:
            raise ValueError("the archive has too many members")
    with zipfile.ZipFile(path) as archive:
        members = sorted(archive.infolist(), key=lambda each: each.header_offset)
    if sum(archives.memory_of(info.filename) for info in members) > archives.MEMBERS_LIMIT:
        raise ValueError("the archive has too many members")
    if len(members) != count or not members or members[0].header_offset:
        raise ValueError("the archive has no members, or data before them")
    return members, end


def _read_zip(path: Path, limit: int) -> _Contents:
    members, end = _table_of_contents(path)
    texts_of = _OF_A_WHEEL if path.suffix == ".whl" else _OF_AN_SDIST
    contents = _Contents(texts_of, unpacked=sum(info.file_size for info in members))
    if contents.unpacked > limit:
        raise ValueError(f"the archive unpacks to more than {limit / 1024**2:.0f} MiB")
    with path.open("rb") as file:
        ends = [*(info.header_offset for info in members[1:]), end]
        for info, following in zip(members, ends, strict=True):
            data = _data(file, info, following)
            mode = info.external_attr >> 16
            if info.is_dir():
                contents.check_name(info.filename.removesuffix("/"))
                if any(data):
                    raise ValueError(f"{_shown(info.filename)} is a folder with data")
                continue
            if stat.S_IFMT(mode) not in {0, stat.S_IFREG}:
                raise ValueError(f"{_shown(info.filename)} is a link or a device, which a wheel cannot have")
            contents.add(info.filename, _mode(mode, may_say=info.create_system != 0), data)
    return contents


def _data(file: BinaryIO, info: zipfile.ZipInfo, following: int) -> Iterator[bytes]:
    """Yield the unpacked data of a zip's member, whose two headers must agree with each other and with the data."""
    file.seek(info.header_offset)
    signature, _, flags, method, _, _, *local, name_size, extra_size = struct.unpack("<4s5H3I2H", file.read(30))
    name, extra = file.read(name_size), file.read(extra_size)
    start = file.tell()
    plain, described = method == zipfile.ZIP_STORED, flags & 0x08
    central = [min(each, _ZIP64) for each in (info.CRC, info.compress_size, info.file_size)]
    if (
        signature != b"PK\3\4"
        or (flags, method) != (info.flag_bits, info.compress_type)
        or name != info.orig_filename.encode("utf-8" if flags & 0x800 else "cp437")
        or info.filename != info.orig_filename
        or b"up" in extra + info.extra  # another name
        or (plain if described else local != central)
        or following - start - info.compress_size not in ({12, 16, 20, 24} if described else {0})
    ):
        raise ValueError(f"the headers of {_shown(info.filename)} do not agree")
    if flags & 0x61 or method not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise ValueError(f"{_shown(info.filename)} is neither stored nor deflated, or is encrypted")
    size, crc = 0, 0
    for chunk in (_stored if plain else _inflated)(file, info.compress_size):
        size, crc = size + len(chunk), zlib.crc32(chunk, crc)
        if size > info.file_size:
            break
        yield chunk
    if (size, crc) != (info.file_size, info.CRC):
        raise ValueError(f"{_shown(info.filename)} does not have the size and the checksum of its header")


def _stored(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size > 0:
        chunk = file.read(min(size, _CHUNK))
        if not chunk:
            raise EOFError("it ends too early")
        size -= len(chunk)
        yield chunk


def _inflated(file: BinaryIO, size: int, wbits: int = -15) -> Iterator[bytes]:
    """Yield the inflated data of the next `size` bytes, which must be one stream and nothing else."""
    inflate = zlib.decompressobj(wbits)
    for compressed in _stored(file, size):
        left = compressed
        while left and not inflate.eof:
            yield inflate.decompress(left, _CHUNK)
            left = inflate.unconsumed_tail
        if left or inflate.unused_data:
            raise ValueError("the archive has data after the end of compressed data")
    while not inflate.eof:
        chunk = inflate.decompress(b"", _CHUNK)
        if not chunk and not inflate.eof:
            raise EOFError("compressed data end too early")
        yield chunk


class _Unpacked(io.RawIOBase):
    """The data of an sdist, read once from the start: at most `left` bytes until that is set again, `limit` in all."""

    def __init__(self, chunks: Iterator[bytes], limit: int) -> None:
        self._chunks, self._limit = chunks, limit
        self._chunk = memoryview(b"")
        self._position = 0
        self.left = archives.HEADER_LIMIT
        self.last = b""  # what was read last: a header, where tarfile has just found a member or the end

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        self.left -= size
        if size < 0 or self.left < 0:
            raise ValueError("the headers of the archive are too large")
        self.last = b"".join(self._take(size))
        return self.last

    def seek(self, target: int, whence: int = 0, /) -> int:
        if whence or target < self._position:
            raise ValueError("the headers of the archive point backwards")
        for _ in self._take(target - self._position):
            pass
        return self._position

    def tell(self) -> int:
        return self._position

    def _take(self, size: int) -> Iterator[memoryview]:
        while size:
            while not self._chunk:
                chunk = next(self._chunks, None)
                if chunk is None:
                    return
                self._chunk = memoryview(chunk)
            part = self._chunk[:size]
            self._chunk = self._chunk[size:]
            self._position += len(part)
            if self._position > self._limit:
                raise ValueError(f"the archive unpacks to more than {self._limit / 1024**2:.0f} MiB")
            size -= len(part)
            yield part


def _read_tar(path: Path, limit: int) -> _Contents:
    """Read an sdist; programs that read tar in other ways must see the same as this."""
    contents, memory = _Contents(_OF_AN_SDIST), 0
    with path.open("rb") as file:
        stream = _Unpacked(_inflated(file, path.stat().st_size, wbits=31), limit)
        with tarfile.open(fileobj=stream, mode="r:", encoding="utf-8") as archive:
            for member in archive:
                memory += archives.memory_of(member.name, len(member.pax_headers))
                if memory > archives.MEMBERS_LIMIT:
                    raise ValueError("the archive has too many members")
                stream.left = member.size + archives.HEADER_LIMIT
                if stream.last[124:136].strip(b"\0 ").lstrip(b"0") != (b"%o" % member.size if member.size else b""):
                    raise ValueError(f"the headers of {_shown(member.name)} do not agree")
                _add(contents, member, stream)
                stream.left = archives.HEADER_LIMIT
        rest = stream.last
        while rest:
            if rest.strip(b"\0"):
                raise ValueError("the archive has data after its members")
            stream.left = _CHUNK
            rest = stream.read(_CHUNK)
        contents.unpacked = stream.tell()
    return contents


def _add(contents: _Contents, member: tarfile.TarInfo, stream: _Unpacked) -> None:
    name = member.name
    if member.issparse() or (member.size and not member.isreg()):
        raise ValueError(f"{_shown(name)} is stored in a way that not all programs read")
    if member.isdir():
        contents.check_name(name)
    elif member.isreg():
        contents.add(name, _mode(member.mode), _of_tar(stream, member))
    elif member.issym():
        target = posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname))
        if target.startswith(("/", "../")) or target == "..":
            raise ValueError(f"{_shown(name)} is a link that leaves the archive")
        contents.add(name, "link", [member.linkname.encode(errors="surrogateescape")])
    elif member.islnk() and (linked := contents.members.get(member.linkname)) and linked.mode != "link":
        contents.check_name(name)
        contents.members[name] = linked
    else:
        raise ValueError(f"{_shown(name)} is a device, or a link to nothing")


def _of_tar(stream: _Unpacked, member: tarfile.TarInfo) -> Iterator[bytes]:
    left = member.size
    while left:
        chunk = stream.read(min(left, _CHUNK))
        if not chunk:
            raise EOFError(f"{_shown(member.name)} ends too early")
        left -= len(chunk)
        yield chunk


def _check_record(wheel: _Contents) -> None:
    """Refuse a wheel whose RECORD does not list exactly its members, with their hashes and sizes."""
    infos = {folder for name in wheel.members if (folder := name.partition("/")[0]).endswith(".dist-info")}
    record = f"{min(infos, default='')}/RECORD"
    if len(infos) != 1 or record not in wheel.members:
        raise ValueError("the wheel does not have one .dist-info folder with a RECORD")
    listed = set[str]()
    for row in csv.reader(io.StringIO(wheel.texts[record].decode(), newline="")):
        name, digest, size = row if len(row) == 3 else ("", "", "")  # noqa: PLR2004 - as RECORD has
        member = wheel.members.get(name)
        if not member or name in listed:
            raise ValueError(f"RECORD has a line that is for no member: {_shown(','.join(row))}")
        listed.add(name)
        digests = {
            f"sha256={base64.urlsafe_b64encode(member.sha256).decode().rstrip('=')}",
            f"sha256={member.sha256.hex()}",  # uv-build 0.8.0
        }
        if not _UNLISTED.fullmatch(name) and (digest not in digests or size != str(member.size)):
            raise ValueError(f"{_shown(name)} does not have the SHA-256 and the size that RECORD has for it")
    if missing := [name for name in wheel.members if name not in listed and not _UNLISTED.fullmatch(name)]:
        raise ValueError(f"RECORD does not list {_shown(missing[0])}")
    del wheel.members[record], wheel.texts[record]


def _differences(ours: _Contents, theirs: _Contents) -> Iterator[str]:
    common = ours.members.keys() & theirs.members.keys()
    built, published = _licences_renamed(ours.members, common), _licences_renamed(theirs.members, common)
    for name in sorted(built.keys() | published.keys()):
        one, other = built.get(name), published.get(name)
        if not other:
            yield f"{_shown(name)} is not in the published file"
        elif not one:
            yield f"{_shown(name)} is only in the published file"
        elif one.mode != other.mode and "unknown" not in {one.mode, other.mode}:
            yield f"{_shown(name)} is {_KINDS[one.mode]}, and in the published file {_KINDS[other.mode]}"
        elif one.sha256 == other.sha256:
            continue
        elif name in ours.texts and name in theirs.texts:
            yield from _differences_of_text(name, ours.texts[name], theirs.texts[name])
        else:
            yield f"{_shown(name)} has different contents"


def _licences_renamed(members: Mapping[str, _Member], common: Iterable[str]) -> Mapping[str, _Member]:
    """Return the members with licence files outside of `licenses/` (PEP 639), but for those at a common place."""
    common = set(common)
    renamed = {
        "".join(found.groups("")) if name not in common and (found := _LICENCE.fullmatch(name)) else name: member
        for name, member in members.items()
    }
    return renamed if len(renamed) == len(members) else members


def _differences_of_text(name: str, ours: bytes, theirs: bytes) -> Iterator[str]:
    parse = _lines if name.endswith(".txt") else _fields
    built, published = parse(name, ours), parse(name, theirs)
    for each in sorted(built.keys() | published.keys()):
        one, other = built.get(each, frozenset()), published.get(each, frozenset())
        if one != other:
            old, new = ", ".join(sorted(other - one)) or "nothing", ", ".join(sorted(one - other)) or "nothing"
            yield f"{each or 'a line'} in {_shown(name)} is {_shown(new)}, and in the published file {_shown(old)}"


def _fields(name: str, content: bytes) -> Mapping[str, frozenset[str]]:
    """Return the values of the fields that count, normalised, by the lower-case names of the fields."""
    archives.check_fields(content)
    head, _, body = content.decode().replace("\r\n", "\n").partition("\n\n")
    message = email.message_from_string(head)
    if message.defects or message.get_payload() or message.get_unixfrom() or "\r" in head:
        raise ValueError(f"{_shown(name)} has malformed fields")
    fields: dict[str, set[str]] = {"description": {body} if body else set()}
    for header, value in message.items():
        key = header.lower()
        if key not in _UNCOUNTED and not (key == "classifier" and _ADDED_CLASSIFIER.fullmatch(value)):
            fields.setdefault(_RENAMED.get(key, key), set()).add(_NORMALISED.get(key, str.strip)(value))
    return {key: frozenset(values) for key, values in fields.items()}


def _lines(name: str, content: bytes) -> Mapping[str, frozenset[str]]:
    """Return the lines of a list of setuptools by the headings of their sections."""
    normalised = _requirement if name.endswith("requires.txt") else str
    sections: dict[str, set[str]] = {}
    section = ""
    for line in content.decode().splitlines():
        if line.startswith("["):
            section = line
        elif line:
            sections.setdefault(section, set()).add(normalised(line))
    return {each: frozenset(lines) for each, lines in sections.items()}


def _requirement(line: str) -> str:
    try:
        requirement = Requirement(line)
        requirement.name = canonicalize_name(requirement.name)
        requirement.extras = {canonicalize_name(each) for each in requirement.extras}
        return _EXTRA.sub(lambda found: canonicalize_name(found[0]), str(requirement))
    except (ValueError, RecursionError):
        return line.strip()


def _specifiers(value: str) -> str:
    try:
        return str(SpecifierSet(value))
    except ValueError:
        return value.strip()


def _link(value: str) -> str:
    label, _, url = value.partition(",")
    return f"{label.strip().lower()}, {url.strip()}"


def _person(value: str) -> str:
    """Return the names and addresses of a field, of which pdm-backend 2.4 encodes what is not ASCII (RFC 2047)."""
    try:
        return str(email.header.make_header(email.header.decode_header(value))).strip()
    except (email.errors.MessageError, LookupError, ValueError):
        return value.strip()


def _text(value: str) -> str:
    return "\n".join(line.strip() for line in value.strip().splitlines())


_RENAMED = {"license-expression": "license", "home-page": "project-url"}
"""Fields that releases of one backend choose between, for one value (PEP 639, PEP 753)."""

_NORMALISED: Mapping[str, Callable[[str], str]] = {
    "name": canonicalize_name,
    "provides-extra": canonicalize_name,
    "requires-dist": _requirement,
    "requires-python": _specifiers,
    "author": _person,
    "author-email": _person,
    "maintainer": _person,
    "maintainer-email": _person,
    "license": _text,
    "license-expression": _text,
    "home-page": lambda url: _link(f"homepage, {url}"),
    "project-url": _link,
}
"""How the values of a field are compared; the values of others must be equal."""


def _generator(contents: _Contents) -> str:
    """Return the program that built a wheel, if it says so."""
    for name, content in contents.texts.items():
        if name.endswith("/WHEEL") and (found := re.search(rb"^Generator: *([ -~]{1,100}?) *$", content, re.MULTILINE)):
            return found[1].decode()
    return ""


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")[1:-1]
