"""Parsing file names."""

import pytest
from packaging.version import Version

from gar_publish.distributions import filenames
from gar_publish.errors import BuildFailure


@pytest.mark.parametrize(
    ("filename", "name", "version", "platforms"),
    [
        ("My.Sample-1.0.0-cp311-abi3-linux_x86_64.whl", "my-sample", "1.0.0", ["linux_x86_64"]),
        ("sample-1!2.0-py3-none-macosx_11_0_arm64.win32.whl", "sample", "1!2.0", ["macosx_11_0_arm64", "win32"]),
        ("my_sample-1.0+cu118-1-py3-none-any.whl", "my-sample", "1.0+cu118", ["any"]),
        ("my_sample-1.0.tar.gz", "my-sample", "1.0", []),
        ("my-sample-1.0.zip", "my-sample", "1.0", []),
    ],
)
def test_parses_a_valid_name(filename: str, name: str, version: str, platforms: list[str]) -> None:
    assert filenames.parse(filename) == (name, Version(version), frozenset(platforms))


@pytest.mark.parametrize("filename", ["sample.whl", "sample-1.0.whl", "sample-one-py3-none-any.whl", "sample.tar.gz"])
def test_refuses_an_invalid_name(filename: str) -> None:
    with pytest.raises(BuildFailure, match="is not the name of a wheel or an sdist"):
        filenames.parse(filename)


@pytest.mark.parametrize("name", ["a\nb-1.0-py3-none-any.whl", "a-1.0-py3-none-any\n::x|`<b>.whl", "a b-1.0.tar.gz"])
def test_refuses_a_name_with_other_characters(name: str) -> None:
    with pytest.raises(BuildFailure, match="it has characters that are not allowed"):
        filenames.parse(name)


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("sample-1.0-py3-none-any.whl", True),
        ("sample-1.0.tar.gz", True),
        ("sample-1.0.zip", True),
        ("source.zip", False),
        ("sample-one.zip", False),
        ("sample-1.0.tar.gz.sha256", False),
        ("sample-1.0.egg", False),
    ],
)
def test_is_distribution(filename: str, *, expected: bool) -> None:
    assert filenames.is_distribution(filename) is expected


@pytest.mark.parametrize(
    ("names", "kinds"),
    [
        (["sample-1.0-py3-none-any.whl", "sample-1.0.tar.gz"], {"wheel", "sdist"}),
        (["sample-1.0-py2.py3-none-any.whl"], {"wheel"}),
        (["sample-1.0-cp311-cp311-manylinux_2_17_x86_64.whl", "sample-1.0-cp311-none-any.whl"], set()),
        (["sample-1.1.tar.gz", "other-1.0.tar.gz", "sample-1.0.egg"], set()),
    ],
)
def test_universal_files_of_a_version(names: list[str], kinds: set[str]) -> None:
    assert filenames.universal(dict.fromkeys(names, 0), "sample", "1.0").keys() == kinds


def test_files_of_an_index_by_version() -> None:
    names = (
        "Sample-1.0.0-py3-none-any.whl",
        "sample-1.0.tar.gz",
        "sample-2.0-py3-none-any.whl",
        "sample-2.0-py2.7.egg",
        "other-1.0-py3-none-any.whl",
        "../sample-1.0-py3-none-any.whl",
    )
    found = filenames.by_version(dict.fromkeys(names, 0), "sample")
    assert found == {Version("1.0"): dict.fromkeys(names[:2], 0), Version("2.0"): {names[2]: 0}}
