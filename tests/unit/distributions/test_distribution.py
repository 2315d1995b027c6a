"""Reading and checking distributions."""

import hashlib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from gar_publish.distributions import distribution
from gar_publish.errors import BadInput, BuildFailure
from gar_publish.projects.find import Project
from tests.wheels import make_sdist, make_wheel

METADATA = "Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n"


def test_a_wheel(tmp_path: Path) -> None:
    metadata = "Metadata-Version: 2.1\nName: My.Sample\nVersion: 1.0.0+cu118\nRequires-Python: >=3.11\n"
    path = make_wheel(tmp_path, "my_sample", "1.0.0+cu118", metadata=metadata)
    read = distribution.read(path)
    assert (read.name, read.version, read.kind) == ("my-sample", "1.0.0+cu118", "wheel")
    assert read.filename == "my_sample-1.0.0+cu118-py3-none-any.whl"
    assert read.size == path.stat().st_size
    assert read.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert read.requires_python == ">=3.11"
    assert read.package.metadata_dictionary()["name"] == "My.Sample"


@pytest.mark.parametrize("filename", ["sample-1.0.tar.gz", "Sample-1.0.0.tar.gz"])
def test_an_sdist(tmp_path: Path, filename: str) -> None:
    read = distribution.read(make_sdist(tmp_path, filename))
    assert (read.name, read.version, read.kind, read.requires_python) == ("sample", "1.0", "sdist", None)
    assert read.platforms == frozenset()


def test_optional_requirements(tmp_path: Path) -> None:
    lines = (
        "Both ; extra == 'x'",
        "both ; platform_release != 'extra'",
        "Third_Party ; python_version < '3' or extra == 'x'",
        "rest ; 'x'==extra and (os_name == 'nt')",
    )
    read = distribution.read(make_wheel(tmp_path, metadata=METADATA + "".join(f"Requires-Dist: {e}\n" for e in lines)))
    assert read.requires == {"both", "third-party"}
    assert read.optional == {"rest"}


@pytest.mark.parametrize(
    ("marker", "extras"),
    [
        ("python_version < '3'", ["", "x", "y.z"]),
        ("os_name in 'nt, extra' and platform_version != 'extra == \"q\"'", ["", "x", "y.z"]),
        ("extra=='x'", ["x"]),
        ('"Y_Z"   ==   extra', ["y.z"]),
        ("extra == 'x' or extra == 'y-z'", ["x", "y.z"]),
        ("(extra == 'x' or 'extra' == extra) and sys_platform not in 'win32'", ["x"]),
        ("extra == 'x' and extra == 'y-z'", []),
        ("python_version < '3' or extra == 'x'", ["", "x", "y.z"]),
        ("extra ~= 'x'", ["", "x", "y.z"]),
    ],
)
def test_extras_that_need_a_requirement(marker: str, extras: list[str]) -> None:
    requirement = Requirement(f"lib; {marker}")
    assert [each for each in ("", "x", "y.z") if distribution.is_needed(requirement, [each] if each else [])] == extras


@pytest.mark.parametrize(
    ("metadata", "detail"),
    [
        ("Metadata-Version: 2.1\nName: sample\nVersion: one\n", "'one' is invalid"),
        ("Metadata-Version: 2.1\nVersion: 1.0\n", "name"),
        ("Metadata-Version: 2.1\nName: sample\nVersion: 1.0\nRequires-Dist: ==1\n", "requires-dist"),
        ("Metadata-Version: 2.1\nName: sample\nVersion: 1.0\nFavourite-Colour: blue\n", "favourite-colour"),
        ("Metadata-Version: nine\nName: sample\nVersion: 1.0\n", "nine"),
        ("Name: sample\nVersion: 1.0\n", "Metadata-Version"),
    ],
)
def test_bad_metadata(tmp_path: Path, metadata: str, detail: str) -> None:
    with pytest.raises(BuildFailure, match="no valid metadata") as caught:
        distribution.read(make_wheel(tmp_path, metadata=metadata))
    assert detail in caught.value.detail
    assert caught.value.anchor == "bad-metadata"


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
@pytest.mark.parametrize("damage", ["garbage", "cut", "empty"])
def test_a_damaged_file(tmp_path: Path, kind: str, damage: str) -> None:
    path = make_wheel(tmp_path) if kind == "wheel" else make_sdist(tmp_path)
    content = path.read_bytes()
    path.write_bytes({"garbage": b"\0" * 100, "cut": content[: len(content) // 2], "empty": b""}[damage])
    with pytest.raises(BuildFailure) as caught:
        distribution.read(path)
    assert caught.value.anchor == "bad-metadata"


def test_an_archive_without_members(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "sample-1.0.zip", "w"):
        pass
    with pytest.raises(BuildFailure):
        distribution.read(tmp_path / "sample-1.0.zip")


@pytest.mark.parametrize("filename", ["sample-1.1-py3-none-any.whl", "other-1.0-py3-none-any.whl"])
def test_a_name_that_does_not_match_the_metadata(tmp_path: Path, filename: str) -> None:
    make_wheel(tmp_path).rename(tmp_path / filename)
    with pytest.raises(BuildFailure, match=r"does not match its metadata \(sample 1\.0\)"):
        distribution.read(tmp_path / filename)


def test_an_epoch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildFailure) as caught:
        distribution.read(make_wheel(tmp_path, version="2!1.0"))
    assert caught.value.anchor == "version-epoch"


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
@pytest.mark.parametrize(
    "requirement",
    ["lib @ file:///home/me/lib", "lib @ FILE:///lib-1.0.tar.gz ; extra == 'x'", "lib@file://localhost/lib"],
)
def test_refuses_a_requirement_that_is_a_file(tmp_path: Path, kind: str, requirement: str) -> None:
    metadata = f"{METADATA}Requires-Dist: lib @ https://example.org/lib-1.0.tar.gz\nRequires-Dist: {requirement}\n"
    path = make_wheel(tmp_path, metadata=metadata) if kind == "wheel" else make_sdist(tmp_path, metadata=metadata)
    with pytest.raises(BuildFailure, match=f"{path.name} requires lib from a file of the machine") as caught:
        distribution.read(path)
    assert caught.value.anchor == "file-dependency"


def test_a_requirement_with_a_url_is_no_file(tmp_path: Path) -> None:
    metadata = f"{METADATA}Requires-Dist: file @ https://example.org/file:lib-1.0.tar.gz\n"
    assert distribution.read(make_wheel(tmp_path, metadata=metadata)).requires == {"file"}


def test_a_readme_that_does_not_render_is_a_warning_about_its_package(tmp_path: Path) -> None:
    readme = "\nTitle\n=====\n\nsee :pep-of-mine:`8`\n"
    files = [
        distribution.read(path)
        for path in (
            make_wheel(tmp_path, metadata=METADATA + readme),
            make_sdist(tmp_path, metadata=f"{METADATA}{readme}\n"),
            make_wheel(tmp_path, "other", metadata=f"{METADATA.replace('sample', 'other')}\nfine\n"),
        )
    ]
    (warning,) = distribution.warnings(files)
    assert "The readme of sample 1.0 does not render" in warning
    assert '(line 4: (ERROR/3) Unknown interpreted text role "pep-of-mine".)' in warning


@pytest.mark.parametrize(
    ("tag", "warned"),
    [
        ("cp311-cp311-linux_x86_64", True),
        ("cp311-cp311-manylinux_2_17_x86_64.linux_x86_64", True),
        ("cp311-cp311-manylinux_2_17_x86_64", False),
        ("cp311-cp311-musllinux_1_2_aarch64", False),
        ("py3-none-any", False),
        ("cp311-cp311-macosx_11_0_arm64", False),
    ],
)
def test_a_wheel_for_this_machine_only(tmp_path: Path, tag: str, *, warned: bool) -> None:
    found = distribution.warnings([distribution.read(make_wheel(tmp_path, tag=tag))])
    assert ["cibuildwheel" in text for text in found] == ([True] if warned else [])


@pytest.mark.parametrize("expected", ["1.0", "v1.0", "1.0.0", " V1.0"])
def test_the_expected_version(expected: str) -> None:
    distribution.check_expected([("sample", "1.0")], Version(expected))


@pytest.mark.parametrize("expected", ["1.0.1", "v2", "1.0+local", "1.0rc1"])
def test_another_version(expected: str) -> None:
    with pytest.raises(BadInput) as caught:
        distribution.check_expected([("sample", "1.0")], Version(expected))
    assert caught.value.anchor == "expected-version"


def test_refuses_a_build_with_another_name(tmp_path: Path) -> None:
    found = distribution.read(make_wheel(tmp_path, "sample"))
    distribution.check_built([found], Project(tmp_path, "lib", "sample"))
    distribution.check_built([found], Project(tmp_path, "lib", None))
    with pytest.raises(BuildFailure, match="but the project is named requests"):
        distribution.check_built([found], Project(tmp_path, "lib", "requests"))


def test_refuses_files_of_different_versions(tmp_path: Path) -> None:
    project = Project(tmp_path, "lib", "sample")
    (tmp_path / "other").mkdir()
    files = [
        distribution.read(make_wheel(folder, "sample", version))
        for folder, version in ((tmp_path, "1.0"), (tmp_path / "other", "1.0.0"))
    ]
    distribution.check_built(files, project)
    files[1] = distribution.read(make_wheel(tmp_path, "sample", "0.0.0"))
    with pytest.raises(BuildFailure, match="The files of lib have different versions") as caught:
        distribution.check_built(files, project)
    assert caught.value.anchor == "different-versions"
