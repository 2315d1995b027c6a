"""What decides whether two files of one name are the same, and archives that try to look like another one."""

import base64
import csv
import gzip
import hashlib
import io
import re
import struct
import tarfile
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from gar_publish.distributions import archives, contents
from gar_publish.distributions.contents import Comparison

WHEEL = "sample-1.0-py3-none-any.whl"
SDIST = "sample-1.0.tar.gz"
INFO = "sample-1.0.dist-info"
METADATA = """\
Metadata-Version: 2.1
Name: sample
Version: 1.0
Summary: A sample
Author: Jané
License: MIT
Home-page: https://example.org/a
Project-URL: The Log, https://example.org/log
Classifier: Topic :: Utilities
Classifier: Programming Language :: Python :: 3
Requires-Python: >=3.9, <4
Requires-Dist: Requests (<3,>=2)
Requires-Dist: six
Provides-Extra: Test_It
Requires-Dist: pytest[b,a]>=7 ; extra == 'Test_It'

A description.
"""
MEMBERS = {
    "sample/__init__.py": "x = 1\n",
    "sample/run.sh": "#!/bin/sh\n",
    "sample/data/a.json": "{}\n",
    f"{INFO}/entry_points.txt": "[console_scripts]\nrun = sample:run\n",
    f"{INFO}/LICENSE": "MIT License\n",
    f"{INFO}/METADATA": METADATA,
    f"{INFO}/WHEEL": "Wheel-Version: 1.0\nGenerator: hatchling 1.31.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}
SOURCES = {
    "sample-1.0/PKG-INFO": METADATA,
    "sample-1.0/pyproject.toml": "[project]\n",
    "sample-1.0/sample.py": "x = 1\n",
    "sample-1.0/run.sh": "#!/bin/sh\n",
    "sample-1.0/src/sample.egg-info/PKG-INFO": METADATA,
    "sample-1.0/src/sample.egg-info/SOURCES.txt": "sample.py\npyproject.toml\n",
    "sample-1.0/src/sample.egg-info/requires.txt": "six\nRequests<3,>=2\n\n[test]\npytest\n",
}
EXECUTABLE = ("run.sh",)


def digest(content: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).decode().rstrip("=")


def record_of(members: Mapping[str, str]) -> str:
    lines = io.StringIO()
    rows = [(name, f"sha256={digest(text)}", len(text.encode())) for name, text in members.items()]
    csv.writer(lines, lineterminator="\n").writerows([*rows, (f"{INFO}/RECORD", "", "")])
    return lines.getvalue()


def wheel(
    folder: Path,
    members: Mapping[str, str] = MEMBERS,
    *,
    record: str | None = None,
    executable: Sequence[str] = EXECUTABLE,
    modes: tuple[int, int] = (0o644, 0o755),
    system: int = 3,
    compression: int = zipfile.ZIP_DEFLATED,
    date: tuple[int, int, int, int, int, int] = (2020, 2, 2, 0, 0, 0),
) -> Path:
    """Write a wheel with a RECORD that fits, unless one is given."""
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / WHEEL, "w", compression) as archive:
        for name, text in {**members, f"{INFO}/RECORD": record or record_of(members)}.items():
            info = zipfile.ZipInfo(name, date)
            info.create_system = system
            info.external_attr = (0o100000 | modes[name.endswith(tuple(executable))]) << 16
            archive.writestr(info, text, compression)
    return folder / WHEEL


def sdist(
    folder: Path,
    members: Mapping[str, str] = SOURCES,
    *,
    executable: Sequence[str] = EXECUTABLE,
    others: Sequence[tarfile.TarInfo] = (),
    owner: str = "",
    mtime: int = 0,
) -> Path:
    folder.mkdir(exist_ok=True)
    with tarfile.open(folder / SDIST, "w:gz") as archive:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.uname = len(text.encode()), mtime, owner
            info.mode = 0o755 if name.endswith(tuple(executable)) else 0o644
            archive.addfile(info, io.BytesIO(text.encode()))
        for info in others:
            archive.addfile(info)
    return folder / SDIST


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def compare(ours: Path, theirs: Path) -> Comparison:
    """Compare two files, and check that this took little memory and time."""
    started = time.process_time()
    tracemalloc.start()
    try:
        return contents.compare(ours, theirs)
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 64 * 2**20
        assert time.process_time() - started < 20


def wheels_differ(tmp_path: Path, theirs: Mapping[str, str], ours: Mapping[str, str] = MEMBERS) -> Sequence[str]:
    return compare(wheel(tmp_path / "ours", ours), wheel(tmp_path / "theirs", theirs)).differences


def sdists_differ(tmp_path: Path, theirs: Mapping[str, str], ours: Mapping[str, str] = SOURCES) -> Sequence[str]:
    return compare(sdist(tmp_path / "ours", ours), sdist(tmp_path / "theirs", theirs)).differences


def test_a_wheel_packed_in_another_way_is_identical(tmp_path: Path) -> None:
    members = {"sample/": "", **dict(reversed(MEMBERS.items()))}
    listed = record_of({name: text for name, text in members.items() if text})
    theirs = wheel(
        tmp_path / "theirs",
        members,
        record=listed,
        modes=(0o600, 0o711),
        compression=zipfile.ZIP_STORED,
        date=(2024, 5, 6, 7, 8, 10),
    )
    assert compare(wheel(tmp_path / "ours"), theirs) == Comparison([], "")


def test_an_sdist_packed_in_another_way_is_identical(tmp_path: Path) -> None:
    folder = tarfile.TarInfo("sample-1.0/empty")
    folder.type = tarfile.DIRTYPE
    theirs = sdist(
        tmp_path / "theirs", dict(reversed(SOURCES.items())), others=[folder], owner="jane", mtime=1_700_000_000
    )
    theirs.write_bytes(gzip.compress(gzip.decompress(theirs.read_bytes()), 1, mtime=7))
    assert compare(sdist(tmp_path / "ours"), theirs) == Comparison([], "")


@pytest.mark.parametrize("system", [0, 3])
def test_the_executable_bit_counts_where_the_zip_has_it(tmp_path: Path, system: int) -> None:
    theirs = wheel(tmp_path / "theirs", executable=["nothing"], system=system)
    name = "sample/run.sh is executable, and in the published file not executable"
    assert compare(wheel(tmp_path / "ours"), theirs).differences == ([name] if system else [])


def test_an_executable_in_a_zip_from_windows_is_one(tmp_path: Path) -> None:
    theirs = wheel(tmp_path / "theirs", executable=[*EXECUTABLE, "__init__.py"], system=0)
    assert len(compare(wheel(tmp_path / "ours"), theirs).differences) == 1


def test_the_executable_bit_of_an_sdist_counts(tmp_path: Path) -> None:
    theirs = sdist(tmp_path / "theirs", executable=["nothing"])
    assert len(compare(sdist(tmp_path / "ours"), theirs).differences) == 1


def test_names_the_release_that_built_the_published_wheel(tmp_path: Path) -> None:
    newer = {**MEMBERS, f"{INFO}/WHEEL": MEMBERS[f"{INFO}/WHEEL"].replace("1.31.0", "1.33.0")}
    assert compare(wheel(tmp_path / "ours", newer), wheel(tmp_path / "theirs")) == Comparison([], "hatchling 1.31.0")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Metadata-Version: 2.1", "Metadata-Version: 2.4\nDynamic: license-file\nLicense-File: LICENSE"),
        ("Metadata-Version: 2.1", "Metadata-Version: 2.5\nImport-Name: sample\nImport-Namespace: space"),
        ("License: MIT", "License-Expression: MIT"),
        ("License: MIT", "License: \n        MIT"),
        ("Home-page: https://example.org/a", "Project-URL: Homepage, https://example.org/a"),
        ("Project-URL: The Log,", "Project-URL: the log,"),
        ("Requests (<3,>=2)", "requests >=2, <3"),
        ("Requires-Dist: Requests (<3,>=2)\nRequires-Dist: six", "Requires-Dist: six\nRequires-Dist: requests<3,>=2"),
        ("[b,a]>=7 ; extra == 'Test_It'", '[a,B]>=7; extra == "test-it"'),
        ("Provides-Extra: Test_It", "Provides-Extra: test-it"),
        (">=3.9, <4", "<4,>=3.9"),
        ("Name: sample", "Name: Sample"),
        ("Author: Jané", "Author: =?utf-8?b?SmFuw6k=?="),
        ("\n", "\r\n"),
    ],
)
def test_metadata_of_another_release_of_a_backend_are_identical(tmp_path: Path, old: str, new: str) -> None:
    metadata = METADATA.replace(old, new)
    assert metadata != METADATA
    assert not wheels_differ(tmp_path, {**MEMBERS, f"{INFO}/METADATA": metadata})
    assert not sdists_differ(tmp_path, {**SOURCES, "sample-1.0/PKG-INFO": metadata})


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("LICENSE", "licenses/LICENSE"),
        ("AUTHORS.md", "licenses/docs/AUTHORS.md"),
        ("LICENSES/MIT.txt", "licenses/LICENSES/MIT.txt"),
    ],
)
def test_a_licence_moves_between_releases_of_a_backend(tmp_path: Path, ours: str, theirs: str) -> None:
    old, new = {**MEMBERS, f"{INFO}/{ours}": "text"}, {**MEMBERS, f"{INFO}/{theirs}": "text"}
    for each in (old, new):
        del each[f"{INFO}/LICENSE"]
        each[f"{INFO}/{ours if each is old else theirs}"] = "text"
    assert not wheels_differ(tmp_path, new, old)
    new[f"{INFO}/{theirs}"] = "text."
    assert len(wheels_differ(tmp_path, new, old)) == 1


def test_a_second_licence_of_a_name_is_not_overlooked(tmp_path: Path) -> None:
    theirs = {name: text for name, text in MEMBERS.items() if not name.endswith("LICENSE")}
    theirs |= {f"{INFO}/licenses/a/LICENSE": "another", f"{INFO}/licenses/LICENSE": MEMBERS[f"{INFO}/LICENSE"]}
    assert wheels_differ(tmp_path, theirs)


def test_a_size_in_an_extended_header_is_read(tmp_path: Path) -> None:
    theirs = with_data(header("x", size=1, pax={"size": "1"}), b"x" + bytes(511))(tmp_path / "theirs")
    assert not compare(sdist(tmp_path / "ours", {**SOURCES, "sample-1.0/x": "x"}), theirs).differences


def test_a_record_with_hexadecimal_hashes_fits(tmp_path: Path) -> None:
    record = record_of(MEMBERS)
    for text in MEMBERS.values():
        record = record.replace(digest(text), hashlib.sha256(text.encode()).hexdigest())
    assert not compare(wheel(tmp_path / "ours"), wheel(tmp_path / "theirs", record=record)).differences


def test_a_licence_moves_beside_others_of_one_name(tmp_path: Path) -> None:
    both = {**MEMBERS, f"{INFO}/licenses/vendored/LICENSE": "another"}
    ours, theirs = {**both, f"{INFO}/AUTHORS": "Jane"}, {**both, f"{INFO}/licenses/AUTHORS": "Jane"}
    assert not wheels_differ(tmp_path, theirs, ours)


def test_lists_of_setuptools_are_compared_by_line(tmp_path: Path) -> None:
    egg_info = "sample-1.0/src/sample.egg-info"
    theirs = {
        **SOURCES,
        f"{egg_info}/SOURCES.txt": "pyproject.toml\nsample.py",
        f"{egg_info}/requires.txt": "requests>=2, <3\nsix\n\n[test]\npytest\n",
    }
    assert not sdists_differ(tmp_path, theirs)
    theirs[f"{egg_info}/requires.txt"] = "requests>=2,<3\n\n[test]\nsix\npytest\n"
    assert len(sdists_differ(tmp_path, theirs)) == 2
    ours = {**SOURCES, f"{egg_info}/SOURCES.txt": "READ_ME\n"}
    assert sdists_differ(tmp_path, {**ours, f"{egg_info}/SOURCES.txt": "read-me\n"}, ours)


def test_a_hard_link_is_the_file(tmp_path: Path) -> None:
    ours = {**SOURCES, "sample-1.0/twin.py": SOURCES["sample-1.0/sample.py"]}
    twin = link("sample-1.0/twin.py", "sample-1.0/sample.py", tarfile.LNKTYPE)
    theirs = sdist(tmp_path / "theirs", others=[twin])
    assert not compare(sdist(tmp_path / "ours", ours), theirs).differences


def test_a_link_is_another_thing_than_a_file(tmp_path: Path) -> None:
    ours = sdist(tmp_path / "ours", {**SOURCES, "sample-1.0/link": "run.sh"})
    theirs = sdist(tmp_path / "theirs", others=[link("sample-1.0/link", "run.sh")])
    other = sdist(tmp_path / "other", others=[link("sample-1.0/link", "sample.py")])
    assert not compare(theirs, theirs).differences
    assert len(compare(ours, theirs).differences) == len(compare(theirs, other).differences) == 1


@pytest.mark.parametrize(
    ("name", "old", "new", "difference"),
    [
        ("sample/__init__.py", "1", "2", "sample/__init__.py has different contents"),
        ("sample/__init__.py", "\n", "", "sample/__init__.py has different contents"),
        (f"{INFO}/entry_points.txt", ":run", ":walk", f"{INFO}/entry_points.txt has different contents"),
        (f"{INFO}/LICENSE", "MIT", "BSD", f"{INFO}/LICENSE has different contents"),
        (
            f"{INFO}/METADATA",
            "Dist: six",
            "Dist: six>1",
            f"requires-dist in {INFO}/METADATA is six, and in the published file six>1",
        ),
        (
            f"{INFO}/METADATA",
            "Requires-Dist: six\n",
            "",
            f"requires-dist in {INFO}/METADATA is six, and in the published file nothing",
        ),
        (f"{INFO}/METADATA", "<4", "<5", f"requires-python in {INFO}/METADATA is <4,>=3.9, and in the published"),
        (f"{INFO}/METADATA", "Utilities", "Games", f"classifier in {INFO}/METADATA is Topic :: Utilities, and in the"),
        (
            f"{INFO}/METADATA",
            "A description",
            "Nothing",
            f"description in {INFO}/METADATA is A description.\\n, and in",
        ),
        (f"{INFO}/METADATA", "Jané", "=?utf-8?b?SmFuZQ==?=", "author in"),
        (f"{INFO}/METADATA", "Jané", "=?none?b?SmFuw6k=?=", "author in"),
        (f"{INFO}/METADATA", "Jané", "=?utf-8?b?=?=", "author in"),
        (f"{INFO}/METADATA", "MIT", "BSD", f"license in {INFO}/METADATA is MIT, and in the published file BSD"),
        (f"{INFO}/METADATA", "example.org/a", "example.org/b", f"project-url in {INFO}/METADATA is homepage, https://"),
        (f"{INFO}/METADATA", "'Test_It'", "'other'", "requires-dist in"),
        (f"{INFO}/METADATA", "3\n", "3\nClassifier: Programming Language :: Python :: 3 :: Only\n", "classifier in"),
        (f"{INFO}/WHEEL", "Tag: py3", "Tag: py2", f"tag in {INFO}/WHEEL is py3-none-any, and in the published file"),
        (f"{INFO}/WHEEL", "true", "false", f"root-is-purelib in {INFO}/WHEEL is true, and in the published"),
    ],
)
def test_near_misses_of_wheels_are_different(tmp_path: Path, name: str, old: str, new: str, difference: str) -> None:
    changed = MEMBERS[name].replace(old, new)
    assert changed != MEMBERS[name]
    (found,) = wheels_differ(tmp_path, {**MEMBERS, name: changed})
    assert found.startswith(difference)


@pytest.mark.parametrize("name", SOURCES)
def test_near_misses_of_sdists_are_different(tmp_path: Path, name: str) -> None:
    changed = SOURCES[name].replace("six", "sixty") if "six" in SOURCES[name] else SOURCES[name] + "."
    (found,) = sdists_differ(tmp_path, {**SOURCES, name: changed})
    assert name in found


def test_a_file_more_or_less_or_of_another_name_is_a_difference(tmp_path: Path) -> None:
    more = {**MEMBERS, "sample/more.py": ""}
    assert wheels_differ(tmp_path, more) == ["sample/more.py is only in the published file"]
    assert wheels_differ(tmp_path, MEMBERS, more) == ["sample/more.py is not in the published file"]
    renamed = {name.replace("a.json", "b.json"): text for name, text in MEMBERS.items()}
    assert len(wheels_differ(tmp_path, renamed)) == 2


def test_names_five_differences_and_counts_the_rest(tmp_path: Path) -> None:
    found = wheels_differ(tmp_path, {**MEMBERS, **{f"{each}.py": "" for each in range(9)}})
    assert len(found) == 6
    assert found[-1] == "and 4 more"


def test_control_characters_of_a_name_are_not_shown(tmp_path: Path) -> None:
    (found,) = wheels_differ(tmp_path, {**MEMBERS, "sample/\x1b[31m": ""})
    assert found == r"sample/\x1b[31m is only in the published file"


def entry(name: bytes, raw: bytes, size: int, crc: int, offset: int = 0) -> tuple[bytes, bytes]:
    """Return a deflated member of a zip, and its entry in the table of contents."""
    common = struct.pack("<HHHHHIIIHH", 20, 0, 8, 0, 33, crc, len(raw), size, len(name), 0)
    local = b"PK\3\4" + common + name + raw
    return local, b"PK\1\2" + struct.pack("<H", 20) + common + struct.pack("<HHHII", 0, 0, 0, 0, offset) + name


def raw_wheel(folder: Path, data: bytes, directory: bytes, count: int) -> Path:
    folder.mkdir(exist_ok=True)
    last = struct.pack("<HHHHIIH", 0, 0, count & 0xFFFF, count & 0xFFFF, len(directory), len(data), 0)
    (folder / WHEEL).write_bytes(data + directory + b"PK\5\6" + last)
    return folder / WHEEL


def deflated(content: bytes, times: int = 1) -> bytes:
    deflate = zlib.compressobj(1, wbits=-15)
    return b"".join([*(deflate.compress(content) for _ in range(times)), deflate.flush()])


def tar_of(folder: Path, *parts: bytes, times: int = 1) -> Path:
    """Write an sdist whose unpacked data are these."""
    folder.mkdir(exist_ok=True)
    with gzip.open(folder / SDIST, "wb", compresslevel=1) as file:
        for _ in range(times):
            file.writelines(parts)
    return folder / SDIST


def unpacked(sdist: Path) -> bytes:
    """Return the data of an sdist without the blocks that end it."""
    content = gzip.decompress(sdist.read_bytes()).rstrip(b"\0")
    return content + bytes(-len(content) % 512)


def replaced(path: Path, old: bytes, new: bytes, count: int = -1) -> Path:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, count))
    return path


def bomb(folder: Path) -> Path:
    local, directory = entry(b"zeros", deflated(b"\0" * 2**20, 100), 100 * 2**20, 0)
    return raw_wheel(folder, local, directory, 1)


def bomb_that_lies(folder: Path) -> Path:
    local, directory = entry(b"zeros", deflated(b"\0" * 2**20, 100), 5, zlib.crc32(b"\0" * 5))
    return raw_wheel(folder, local, directory, 1)


def bombs_that_overlap(folder: Path) -> Path:
    local, directory = entry(b"zeros", deflated(b"\0" * 2**20), 2**20, zlib.crc32(b"\0" * 2**20))
    return raw_wheel(folder, local, directory * 9, 9)


def million_members(folder: Path) -> Path:
    return raw_wheel(folder, b"", entry(b"x", b"", 0, 0)[1] * 1_000_000, 1_000_000)


def members_that_are_not_counted(folder: Path) -> Path:
    return raw_wheel(folder, b"", entry(b"x", b"", 0, 0)[1] * 300_000, 1)


def hidden_member(folder: Path) -> Path:
    """A member that the table of contents does not have: programs that read from the start unpack it."""
    hidden, _ = entry(b"sample/evil.py", deflated(b"x"), 1, zlib.crc32(b"x"))
    whole = wheel(folder).read_bytes()
    start = whole.index(b"PK\1\2")
    count = len(MEMBERS) + 1
    return raw_wheel(folder, whole[:start] + hidden, whole[start : whole.index(b"PK\5\6")], count)


def hidden_in_compressed_data(folder: Path) -> Path:
    hidden, _ = entry(b"sample/evil.py", deflated(b"x"), 1, zlib.crc32(b"x"))
    local, directory = entry(b"zeros", deflated(b"x") + hidden, 1, zlib.crc32(b"x"))
    return raw_wheel(folder, local, directory, 1)


def prefix(folder: Path) -> Path:
    path = wheel(folder)
    path.write_bytes(b"#!/bin/sh\n" + path.read_bytes())
    return path


def comment(folder: Path) -> Path:
    with zipfile.ZipFile(wheel(folder), "a") as archive:
        archive.comment = b"hello"
    return folder / WHEEL


def prefix_that_is_counted(folder: Path) -> Path:
    local, directory = entry(b"x", deflated(b"x"), 1, zlib.crc32(b"x"), offset=10)
    return raw_wheel(folder, b"#!/bin/sh\n" + local, directory, 1)


def with_comment(directory: bytes, text: bytes) -> bytes:
    """Add a comment to a member's entry in the table of contents."""
    return directory[:32] + struct.pack("<H", len(text)) + directory[34:] + text


def second_table_of_contents(folder: Path) -> Path:
    """A comment that says where another table of contents is, as zip64 has it."""
    local, directory = entry(b"x", deflated(b"x"), 1, zlib.crc32(b"x"))
    return raw_wheel(folder, local, with_comment(directory, b"PK\6\7" + bytes(16)), 1)


def member_in_a_comment(folder: Path) -> Path:
    local, directory = entry(b"x", deflated(b"x"), 1, zlib.crc32(b"x"))
    return raw_wheel(folder, local, with_comment(directory, directory), 2)


def huge_table_of_contents(folder: Path) -> Path:
    local, directory = entry(b"x", deflated(b"x"), 1, zlib.crc32(b"x"))
    return raw_wheel(folder, local, with_comment(directory, bytes(60_000)) * 300, 300)


def method_in_one_header(folder: Path) -> Path:
    path = wheel(folder)
    content = bytearray(path.read_bytes())
    content[8] = zipfile.ZIP_STORED
    path.write_bytes(content)
    return path


def name_in_one_header(folder: Path) -> Path:
    return replaced(wheel(folder), b"sample/data/a.json", b"sample/data/b.json", 1)


def size_in_one_header(folder: Path) -> Path:
    path = wheel(folder)
    content = bytearray(path.read_bytes())
    content[22] += 1
    path.write_bytes(content)
    return path


def forged_checksum(folder: Path) -> Path:
    crc = zlib.crc32(MEMBERS["sample/__init__.py"].encode())
    return replaced(wheel(folder), struct.pack("<I", crc), struct.pack("<I", crc ^ 1))


def cut_short(folder: Path) -> Path:
    local, directory = entry(b"x", deflated(b"hello" * 100)[:-3], 500, zlib.crc32(b"hello" * 100))
    return raw_wheel(folder, local, directory, 1)


def member_twice(folder: Path) -> Path:
    path = wheel(folder)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr("sample/__init__.py", "x = 2")
    return path


def symbolic_link(folder: Path) -> Path:
    with zipfile.ZipFile(wheel(folder), "a") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "../../etc/passwd")
    return folder / WHEEL


def second_name(folder: Path) -> Path:
    """A member with a field that gives it another name (Info-ZIP's)."""
    with zipfile.ZipFile(wheel(folder), "a") as archive:
        info = zipfile.ZipInfo("plain")
        info.extra = struct.pack("<HHBI", 0x7075, 9, 1, zlib.crc32(b"plain")) + b"evil"
        archive.writestr(info, "")
    return folder / WHEEL


def encrypted(folder: Path) -> Path:
    path = wheel(folder)
    content = bytearray(path.read_bytes())
    for start, offset in ((0, 6), (content.index(b"PK\1\2"), 8)):
        content[start + offset] |= 1
    path.write_bytes(content)
    return path


def bzip2(folder: Path) -> Path:
    return wheel(folder, compression=zipfile.ZIP_BZIP2)


def folder_with_data(folder: Path) -> Path:
    return wheel(folder, {**MEMBERS, "sample/more/": "data"})


def named(name: str) -> Callable[[Path], Path]:
    return lambda folder: wheel(folder, {**MEMBERS, name: ""})


def recorded(change: Callable[[str], str]) -> Callable[[Path], Path]:
    return lambda folder: wheel(folder, record=change(record_of(MEMBERS)))


def with_metadata(metadata: str) -> Callable[[Path], Path]:
    return lambda folder: wheel(folder, {**MEMBERS, f"{INFO}/METADATA": metadata})


@pytest.fixture
def _little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "_LARGER", 32 * 2**20)
    monkeypatch.setattr(archives, "MEMBERS_LIMIT", 2**23)


LINE = f"sample/run.sh,sha256={digest(MEMBERS['sample/run.sh'])},10\n"


@pytest.mark.usefixtures("_little")
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (bomb, "unpacks to more than"),
        (bomb_that_lies, "zeros does not have the size and the checksum of its header"),
        (bombs_that_overlap, "the headers of zeros do not agree"),
        (million_members, "too many members"),
        (members_that_are_not_counted, "too many members"),
        (hidden_member, "do not agree"),
        (hidden_in_compressed_data, "data after the end of compressed data"),
        (prefix, "data before or after its members"),
        (comment, "data before or after its members"),
        (prefix_that_is_counted, "data before them"),
        (second_table_of_contents, "data before or after its members"),
        (member_in_a_comment, "the archive has no members, or data"),
        (huge_table_of_contents, "too many members"),
        (method_in_one_header, "the headers of sample/__init__.py do not agree"),
        (name_in_one_header, "the headers of sample/data/a.json do not agree"),
        (size_in_one_header, "the headers of sample/__init__.py do not agree"),
        (forged_checksum, "does not have the size and the checksum of its header"),
        (cut_short, "end too early"),
        (member_twice, "sample/__init__.py is in the archive twice"),
        (symbolic_link, "a link or a device"),
        (second_name, "the headers of plain do not agree"),
        (encrypted, "encrypted"),
        (bzip2, "neither stored nor deflated"),
        (folder_with_data, "a folder with data"),
        (named("../evil.py"), "not a plain path"),
        (named("sample/../../evil.py"), "not a plain path"),
        (named("/etc/evil"), "not a plain path"),
        (named("C:/evil"), "not a plain path"),
        (named("..\\evil"), "not a plain path"),
        (named("./sample/__init__.py"), "not a plain path"),
        (named("../"), "not a plain path"),
        (named("zzz-1.dist-info/METADATA"), "one .dist-info folder"),
        (
            recorded(lambda record: record.replace(LINE, LINE.replace("sha256=", "sha256=A"))),
            "the SHA-256 and the size",
        ),
        (recorded(lambda record: record.replace(LINE, LINE.replace(",10", ",11"))), "the SHA-256 and the size"),
        (recorded(lambda record: record.replace(LINE, "sample/run.sh,,\n")), "the SHA-256 and the size"),
        (recorded(lambda record: record.replace(LINE, "")), "RECORD does not list sample/run.sh"),
        (recorded(lambda record: record + LINE), "a line that is for no member"),
        (recorded(lambda record: record + "gone.py,,\n"), "a line that is for no member: gone.py"),
        (recorded(lambda record: record + "a,b,c,d\n"), "a line that is for no member"),
        (recorded(lambda record: record + "gone.py,,\n" * 2_000_000), "RECORD is too large"),
        (with_metadata("Name: sample\n" * 300_000), "METADATA is too large"),
        (with_metadata(f"Content-Type: multipart/mixed; boundary=x\n{METADATA}"), "content-type"),
        (with_metadata(f"no field\n{METADATA}"), "malformed"),
        (with_metadata(f"From jane\n{METADATA}"), "malformed"),
        (with_metadata(f" x\n{METADATA}"), "malformed"),
        (with_metadata(METADATA.replace("\n\n", "\nFrom jane\n\n")), "malformed"),
        (with_metadata(METADATA.replace("Summary: A", "Summary: A\rX: ")), "malformed"),
        (lambda folder: replaced(wheel(folder), b"PK\5\6", b"PK\5\5"), "data before or after its members"),
    ],
)
def test_refuses_a_malicious_wheel(tmp_path: Path, make: Callable[[Path], Path], reason: str) -> None:
    theirs = make(tmp_path / "theirs")
    with pytest.raises(ValueError, match=re.escape(reason)):
        compare(wheel(tmp_path / "ours"), theirs)


def header(name: str, *, size: int = 0, kind: bytes = tarfile.REGTYPE, pax: Mapping[str, str] | None = None) -> bytes:
    info = tarfile.TarInfo(f"sample-1.0/{name}")
    info.size, info.type, info.pax_headers = size, kind, dict(pax or {})
    return info.tobuf(tarfile.PAX_FORMAT if pax else tarfile.GNU_FORMAT)


def with_data(*parts: bytes) -> Callable[[Path], Path]:
    return lambda folder: tar_of(folder, unpacked(sdist(folder)), *parts, bytes(1024))


def with_link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> Callable[[Path], Path]:
    return lambda folder: sdist(folder, others=[link(name, target, kind)])


def bomb_in_an_sdist(folder: Path) -> Path:
    folder.mkdir()
    data = header("zeros", size=2**32)
    deflate = zlib.compressobj(1, wbits=31)
    chunks = [deflate.compress(data), *(deflate.compress(bytes(2**20)) for _ in range(100)), deflate.flush()]
    (folder / SDIST).write_bytes(b"".join(chunks))
    return folder / SDIST


def hard_link_to_a_link(folder: Path) -> Path:
    links = [link("sample-1.0/a/x", "../run.sh"), link("sample-1.0/y", "sample-1.0/a/x", tarfile.LNKTYPE)]
    return sdist(folder, others=links)


def many_lists(folder: Path) -> Path:
    lists = {f"sample-1.0/{each}.egg-info/SOURCES.txt": "x" * 6_000_000 for each in range(3)}
    return sdist(folder, {**SOURCES, **lists})


def very_many_folders(folder: Path) -> Path:
    return tar_of(folder, header("x", kind=tarfile.DIRTYPE) * 1000, times=20)


def second_gzip(folder: Path) -> Path:
    path = sdist(folder)
    path.write_bytes(path.read_bytes() + gzip.compress(b"\0" * 512))
    return path


def forged_gzip_checksum(folder: Path) -> Path:
    path = sdist(folder)
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(content)
    return path


def negative_size(folder: Path) -> Path:
    block = bytearray(header("evil.py"))
    block[124:136] = b"\xff" * 10 + b"\xfe\x00"
    block[148:156] = b"%06o\0 " % tarfile.calc_chksums(bytes(block))[0]  # type: ignore[attr-defined] # not in typeshed
    return tar_of(folder, bytes(block), bytes(1024))


@pytest.mark.usefixtures("_little")
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (bomb_in_an_sdist, "unpacks to more than"),
        (very_many_folders, "too many members"),
        (hard_link_to_a_link, "a device, or a link to nothing"),
        (many_lists, "SOURCES.txt is too large"),
        (second_gzip, "data after the end of compressed data"),
        (forged_gzip_checksum, "incorrect data check"),
        (negative_size, "the headers of sample-1.0/evil.py do not agree"),
        (with_data(header("sample.py")), "sample.py is in the archive twice"),
        (with_data(header("../evil.py")), "not a plain path"),
        (with_data(header("../../evil", kind=tarfile.DIRTYPE)), "not a plain path"),
        (with_data(header("x", pax={"path": "/etc/evil"})), "not a plain path"),
        (with_data(header("x", pax={"size": "5"}), b"x".ljust(512)), "the headers of sample-1.0/x do not agree"),
        (with_data(header("x", size=512, kind=tarfile.DIRTYPE), header("evil.py")), "not all programs read"),
        (with_data(header("x", kind=tarfile.FIFOTYPE)), "a device, or a link to nothing"),
        (with_data(header("x", kind=tarfile.GNUTYPE_SPARSE)), "not all programs read"),
        (with_data(header("x", size=2**32)), "ends too early"),
        (with_data(header("x", pax={"comment": "x" * 100_000})), "the headers of the archive are too large"),
        (with_data(bytes(1024), header("evil.py")), "data after its members"),
        (with_data(header("evil.py").replace(b"evil", b"evi1")), "data after its members"),
        (with_link("sample-1.0/x", "/etc/passwd"), "leaves the archive"),
        (with_link("sample-1.0/x", "../../etc/passwd"), "leaves the archive"),
        (with_link("sample-1.0/x", "../.."), "leaves the archive"),
        (with_link("sample-1.0/x", "/etc/passwd", tarfile.LNKTYPE), "a device, or a link to nothing"),
        (with_link("../x", "sample-1.0/run.sh", tarfile.LNKTYPE), "not a plain path"),
    ],
)
def test_refuses_a_malicious_sdist(tmp_path: Path, make: Callable[[Path], Path], reason: str) -> None:
    theirs = make(tmp_path / "theirs")
    with pytest.raises(ValueError, match=re.escape(reason)):
        compare(sdist(tmp_path / "ours"), theirs)


def members_of(path: Path) -> dict[str, tuple[bool, bytes]]:
    """Return the files of an archive as Python unpacks them."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            return {
                info.filename: (bool(info.external_attr >> 16 & 0o111), archive.read(info))
                for info in archive.infolist()
                if not info.filename.endswith(("/", "/RECORD"))
            }
    with tarfile.open(path) as archive:
        files = {info.name: (bool(info.mode & 0o111), archive.extractfile(info)) for info in archive if info.isreg()}
        return {name: (executable, file.read()) for name, (executable, file) in files.items() if file}


@pytest.mark.parametrize("bits", [0x01, 0xFF])
def test_no_changed_byte_of_a_wheel_is_overlooked(tmp_path: Path, bits: int) -> None:
    ours = wheel(
        tmp_path / "ours", {name: text for name, text in MEMBERS.items() if INFO in name}, executable=["WHEEL"]
    )
    expected = members_of(ours)
    whole = ours.read_bytes()
    theirs = tmp_path / WHEEL
    identical = 0
    for position in range(len(whole)):
        theirs.write_bytes(whole[:position] + bytes([whole[position] ^ bits]) + whole[position + 1 :])
        try:
            if contents.compare(ours, theirs).differences:
                continue
        except ValueError:
            continue
        identical += 1
        found = members_of(theirs)
        if theirs.read_bytes()[whole.index(b"PK\1\2") + 5] != 0:  # a zip of another system may lack the bit
            assert found == expected
    assert 0 < identical < len(whole) / 5


def test_no_changed_byte_of_an_sdist_is_overlooked(tmp_path: Path) -> None:
    ours = sdist(tmp_path / "ours", {name: SOURCES[name] for name in list(SOURCES)[1:4]})
    expected = members_of(ours)
    whole = unpacked(ours)
    identical = 0
    for position in range(len(whole)):
        if whole[position] == 0 and position % 16:
            continue
        theirs = tar_of(tmp_path, whole[:position], bytes([whole[position] ^ 1]), whole[position + 1 :], bytes(1024))
        try:
            if contents.compare(ours, theirs).differences:
                continue
        except ValueError:
            continue
        identical += 1
        assert members_of(theirs) == expected
    assert identical < len(whole) / 20
