import sys
from pathlib import Path

import pytest

from gar_publish.distributions.prebuilt import collect
from gar_publish.errors import BadInput
from tests.wheels import make_sdist, make_wheel


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """A `dist` folder as it is after building, signing and attesting."""
    folder = tmp_path / "dist"
    make_wheel(folder)
    make_sdist(folder)
    for stray in (
        ".gitignore",
        ".DS_Store",
        "SHA256SUMS",
        "report-of-tests.zip",
        "sample-1.0-py3-none-any.whl.asc",
        "sample-1.0-py3-none-any.whl.publish.attestation",
        "sample-1.0.tar.gz.attestation",
    ):
        (folder / stray).touch()
    make_wheel(folder / "old", version="0.9")
    return folder


@pytest.mark.parametrize(
    "patterns",
    [
        ["dist"],
        ["dist/"],
        ["dist/*"],
        ["d*t"],
        ["dist/*.whl", "dist/*.tar.gz"],
        ["dist/sample-1.0-py3-none-any.whl", "dist/sample-1.0.tar.gz"],
        ["dist", "dist/*", "dist/../dist"],
    ],
)
def test_ignores_other_files_and_duplicates(dist: Path, patterns: list[str]) -> None:
    names = [path.name for path in collect(patterns, dist.parent)]
    assert names == ["sample-1.0-py3-none-any.whl", "sample-1.0.tar.gz"]


def test_an_absolute_pattern(dist: Path, tmp_path: Path) -> None:
    assert collect([f"{dist}/*.whl"], tmp_path / "elsewhere") == [dist / "sample-1.0-py3-none-any.whl"]


@pytest.mark.parametrize("pattern", ["nothing", "nothing/*.whl", "dist/SHA256SUMS", "dist/*.egg", "."])
def test_a_pattern_without_a_match(dist: Path, pattern: str) -> None:
    with pytest.raises(BadInput) as caught:
        collect(["dist", pattern], dist.parent)
    assert repr(pattern) in caught.value.what
    assert caught.value.anchor == "no-distributions"


def test_two_files_with_the_same_name(dist: Path) -> None:
    make_wheel(dist.parent / "same")
    assert len(collect(["dist", "same"], dist.parent)) == 2
    make_wheel(dist.parent / "other", content="x = 1")
    with pytest.raises(BadInput) as caught:
        collect(["dist", "other"], dist.parent)
    assert caught.value.anchor == "same-name-twice"


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_a_file_that_cannot_be_read(dist: Path) -> None:
    for folder in ("one", "two"):
        (dist / folder).mkdir()
    (dist / "one" / "sample-1.0-py3-none-any.whl").touch()
    (dist / "two" / "sample-1.0-py3-none-any.whl").symlink_to("/proc/self/mem")
    with pytest.raises(BadInput, match=r"`dist`: cannot read 'dist/two': Input/output error\."):
        collect(["dist/one", "dist/two"], dist.parent)
