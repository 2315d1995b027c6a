"""Stamping wheels."""

import base64
import copy
import csv
import hashlib
import io
import os
import zipfile
from pathlib import Path

import pytest
from packaging.metadata import Metadata

from gar_publish.distributions import distribution
from gar_publish.errors import BuildFailure
from gar_publish.previews import stamp
from tests.wheels import make_wheel

VERSION = "1.0.1.dev1795946401+pr42.gabc1234"
VERSIONS = {"my-sample": VERSION, "lib": "2.0.1.dev1795946401+pr42.gabc1234", "tool": "3.1.dev1+pr42.gabc1234"}
BODY = "Ünïcode\r\n\r\nVersion: 1.0\nRequires-Dist: lib\n\ttabs and spaces  \n"
METADATA = (
    "Metadata-Version: 2.4\nName: My.Sample\nVersion: 1.0.0\nAuthor: A sample\n  that is folded\n"
    "Requires-Dist: Lib[two,one]>=1.0,<2.0 ; python_version >= '3.9'\n"
    "Requires-Dist: tool @ file:///somewhere/tool ; extra == 'dev'\n"
    "Requires-Dist: other (>=1.0)\n"
    "Requires-Dist: My_Sample[dev] ; extra == 'all'\n"
    "Requires-Dist: not a requirement\n"
    "Provides-Extra: dev\nProvides-Extra: all\n"
)
INFO = f"My.Sample-{VERSION}.dist-info"


def make(folder: Path, metadata: str = f"{METADATA}\n{BODY}", **members: bytes) -> Path:
    """Write a wheel whose members are compressed and have dates, rights and a .data folder."""
    info, path = "My.Sample-1.0.0.dist-info", folder / "my_sample-1.0.0-1-cp311-abi3-linux_x86_64.whl"
    contents = {
        "my_sample/native.so": b"\x7fELF" * 10_000,
        'My.Sample-1.0.0.data/scripts/run, and "quote"': b"#!python\n",
        f"{info}/METADATA": metadata.encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp311-abi3-linux_x86_64\n",
        f"{info}/RECORD.jws": b"signed",
        "vendored-9.0.dist-info/METADATA": b"Name: vendored\n",
        **members,
    }
    record = io.StringIO()
    writer = csv.writer(record, lineterminator="\n")
    for name, content in contents.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        writer.writerow([name, f"sha256={digest}", len(content)])
    writer.writerow([f"{info}/RECORD", "", ""])
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in {**contents, f"{info}/RECORD": record.getvalue().encode()}.items():
            member = zipfile.ZipInfo(name, (2020, 2, 2, 0, 0, 0))
            member.external_attr, member.compress_type = 0o100755 << 16, zipfile.ZIP_DEFLATED
            wheel.writestr(member, content)
    return path


def stamped(folder: Path, path: Path) -> Path:
    (folder / "out").mkdir(exist_ok=True)
    return stamp.stamp(stamp.read(path), VERSIONS, folder / "out")


def metadata_of(path: Path) -> str:
    with zipfile.ZipFile(path) as wheel:
        (name,) = (each for each in wheel.namelist() if each.endswith("METADATA") and "vendored" not in each)
        return wheel.read(name).decode()


def test_the_new_wheel_is_valid_and_named_by_its_version(tmp_path: Path) -> None:
    path = stamped(tmp_path, make(tmp_path, f"{METADATA.replace('Requires-Dist: not a requirement', '')}\n{BODY}"))
    assert path.name == f"my_sample-{VERSION}-1-cp311-abi3-linux_x86_64.whl"
    read = distribution.read(path)
    assert (read.name, read.version) == ("my-sample", VERSION)
    Metadata.from_email(metadata_of(path).encode(), validate=True)


def test_record_has_the_hash_of_every_member(tmp_path: Path) -> None:
    with zipfile.ZipFile(stamped(tmp_path, make(tmp_path))) as wheel:
        rows = {row[0]: row[1:] for row in csv.reader(io.StringIO(wheel.read(f"{INFO}/RECORD").decode()))}
        assert rows.keys() == set(wheel.namelist())
        assert rows.pop(f"{INFO}/RECORD") == ["", ""]
        for name, (digest, size) in rows.items():
            content = wheel.read(name)
            expected = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            assert (digest, size) == (f"sha256={expected}", str(len(content)))
        assert f'My.Sample-{VERSION}.data/scripts/run, and "quote"' in rows
        assert "vendored-9.0.dist-info/METADATA" in rows


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_only_the_version_and_the_requirements_on_siblings_change(tmp_path: Path, end: str) -> None:
    head = METADATA.replace("\n", end)
    changed = {
        "Version: 1.0.0": f"Version: {VERSION}",
        "Requires-Dist: Lib[two,one]>=1.0,<2.0 ; python_version >= '3.9'": f"Requires-Dist: Lib[one,two]=="
        f'{VERSIONS["lib"]} ; python_version >= "3.9"',
        "Requires-Dist: tool @ file:///somewhere/tool ; extra == 'dev'": f"Requires-Dist: tool=={VERSIONS['tool']} ;"
        ' extra == "dev"',
        "Requires-Dist: My_Sample[dev] ; extra == 'all'": f'Requires-Dist: My_Sample[dev]=={VERSION} ; extra == "all"',
    }
    expected = head
    for old, new in changed.items():
        assert old + end in expected
        expected = expected.replace(old + end, new + end)
    assert metadata_of(stamped(tmp_path, make(tmp_path, f"{head}{end}{BODY}"))) == f"{expected}{end}{BODY}"


def test_metadata_may_end_without_a_blank_line(tmp_path: Path) -> None:
    path = make(tmp_path, "Metadata-Version: 2.1\nName: my-sample\nVersion: 1.0.0")
    assert metadata_of(stamped(tmp_path, path)) == f"Metadata-Version: 2.1\nName: my-sample\nVersion: {VERSION}\n"


def test_other_members_keep_their_compressed_bytes_dates_and_rights(tmp_path: Path) -> None:
    path = make(tmp_path)
    before, after = path.read_bytes(), stamped(tmp_path, path).read_bytes()
    with zipfile.ZipFile(io.BytesIO(before)) as old, zipfile.ZipFile(io.BytesIO(after)) as new:
        assert new.testzip() is None
        one, other = old.getinfo("my_sample/native.so"), new.getinfo("my_sample/native.so")
        assert (one.date_time, one.external_attr) == (other.date_time, other.external_attr)
        start = one.header_offset + 30 + len(one.filename)
        assert before[start : start + one.compress_size] in after


def test_the_same_wheel_gives_the_same_file(tmp_path: Path) -> None:
    path = make(tmp_path)
    assert stamped(tmp_path, path).read_bytes() == stamped(tmp_path, path).read_bytes()


@pytest.mark.parametrize(
    "metadata", ["Name: my-sample\n", "Name: my-sample\nVersion: 1.0.0\nVersion: 1.0.0\n"], ids=["none", "two"]
)
def test_refuses_another_number_of_versions(tmp_path: Path, metadata: str) -> None:
    with pytest.raises(BuildFailure, match="has no valid metadata"):
        stamped(tmp_path, make(tmp_path, metadata))


def test_refuses_a_wheel_without_record(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "my-sample", "1.0.0")
    bare = tmp_path / "bare" / path.name
    bare.parent.mkdir()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(bare, "w") as new:
        for name in old.namelist():
            if not name.endswith("RECORD"):
                new.writestr(name, old.read(name))
    with pytest.raises(BuildFailure, match="has no valid metadata"):
        stamped(tmp_path, bare)


def test_refuses_a_wheel_without_its_own_metadata(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "other", "1.0.0").rename(tmp_path / "my_sample-1.0.0-py3-none-any.whl")
    with pytest.raises(BuildFailure, match="has no valid metadata"):
        stamp.read(path)


def test_refuses_members_that_share_their_bytes(tmp_path: Path) -> None:
    """Copies of them would take much more room than the wheel."""
    path = make(tmp_path, f"{METADATA}\n{BODY}", **{"my_sample/large.so": os.urandom(10_000)})
    with zipfile.ZipFile(path, "a") as wheel:
        for number in range(3):
            shared = copy.copy(wheel.getinfo("my_sample/large.so"))
            shared.filename = f"my_sample/{number}.so"
            wheel.filelist.append(shared)
        wheel.comment = b"changed"  # writes the table of contents again
    with pytest.raises(BuildFailure, match="has no valid metadata"):
        stamped(tmp_path, path)


def test_what_a_wheel_requires(tmp_path: Path) -> None:
    assert stamp.read(make(tmp_path)).requires == {"lib", "tool", "other", "my-sample"}
