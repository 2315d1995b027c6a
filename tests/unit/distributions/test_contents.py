"""What decides whether two files of one name are the same, and archives that try to look like another one."""

import base64
import csv
import gzip
import hashlib
import io
import os
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
License: MIT
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
        ("Requests (<3,>=2)", "requests >=2, <3"),
        ("Requires-Dist: Requests (<3,>=2)\nRequires-Dist: six", "Requires-Dist: six\nRequires-Dist: requests<3,>=2"),
        ("[b,a]>=7 ; extra == 'Test_It'", '[a,B]>=7; extra == "test-it"'),
        ("Provides-Extra: Test_It", "Provides-Extra: test-it"),
        (">=3.9, <4", "<4,>=3.9"),
        ("Name: sample", "Name: Sample"),
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
        (f"{INFO}/METADATA", "A description", "Nothing", f"description in {INFO}/METADATA is A description., and in"),
        (f"{INFO}/METADATA", "MIT", "BSD", f"license in {INFO}/METADATA is MIT, and in the published file BSD"),
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
