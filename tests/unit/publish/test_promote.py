import errno
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gar_publish.errors import BadInput, FileRefused, RegistryRefused
from gar_publish.publish.promote import PromotionSource, refuse_previews
from gar_publish.registry.index import IndexFile
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.promotion import read_pins
from gar_publish.settings.repository import Repository
from tests.unit.failures import words
from tests.wheels import make_wheel


@dataclass
class Shelf:
    """A repository and its index: files in a folder."""

    folder: Path
    sha256: str | None = "ab" * 32
    read: list[str] = field(default_factory=list)
    full: bool = False

    @property
    def index(self) -> "Shelf":
        return self

    def put(self, name: str, version: str, *requires: str, tag: str = "py3-none-any") -> None:
        make_wheel(self.folder, name, version, requires=requires, tag=tag)

    def files(self, name: str) -> Mapping[str, IndexFile]:
        found = (path.name for path in self.folder.glob(f"{name.replace('-', '_')}-*"))
        return {each: IndexFile(each, "", self.sha256) for each in found}

    def read_sha256(self, file: IndexFile, *, copy: Path) -> str:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.read.append(file.filename)
        copy.write_bytes((self.folder / file.filename).read_bytes())
        return "ab" * 32


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    (tmp_path / "shelf").mkdir()
    return Shelf(tmp_path / "shelf")


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def source(shelf: Shelf, said: list[str], tmp_path: Path) -> Iterator[PromotionSource]:
    (tmp_path / "fetched").mkdir()
    access: Any = shelf
    with ThreadPoolExecutor(4) as pool:
        repository = Repository.parse("us/demo-project/dev", endpoints=Endpoints())
        yield PromotionSource(repository, access, pool, tmp_path / "fetched", said.append)


def fetched(source: PromotionSource, *lines: str, with_dependencies: bool = True) -> Sequence[str]:
    found = source.fetch(read_pins(lines), with_dependencies=with_dependencies)
    return sorted({f"{each.name} {each.version}" for each in found})


def test_requirements_are_promoted_if_the_source_has_them(
    shelf: Shelf, source: PromotionSource, said: list[str]
) -> None:
    shelf.put("app", "1.0", "lib>=1", "requests>=2", "tool; python_version < '3'")
    shelf.put("lib", "1.9")
    shelf.put("lib", "1.10", "urllib3")
    shelf.put("lib", "2.0rc1")
    shelf.put("tool", "1.0")
    assert fetched(source, "app==1.0") == ["app 1.0", "lib 1.10", "tool 1.0"], "markers are taken to be true"
    assert said == [
        "app 1.0 requires lib>=1: lib 1.10, the highest version that fits, is promoted too.",
        'app 1.0 requires tool; python_version < "3": tool 1.0, the highest version that fits, is promoted too.',
        "us/demo-project/dev does not have requests, urllib3; gar-publish assumes that a public index does.",
    ]
    assert sorted(shelf.read) == sorted(set(shelf.read)), "each file once"


def test_a_pre_release_is_promoted_if_nothing_else_fits(shelf: Shelf, source: PromotionSource) -> None:
    shelf.put("app", "1.0", "lib", "core>=2.0b1")
    shelf.put("lib", "2.0rc1")
    shelf.put("core", "1.0")
    shelf.put("core", "2.0b2")
    assert fetched(source, "app==1.0") == ["app 1.0", "core 2.0b2", "lib 2.0rc1"]


def test_a_version_that_is_promoted_anyway_is_used(shelf: Shelf, source: PromotionSource) -> None:
    shelf.put("app", "1.0", "lib>=1", "lib<3", "lib!=1.0")
    for version in ("1.0", "1.1rc1", "2.0", "3.0"):
        shelf.put("lib", version)
    assert fetched(source, "app==1.0", "lib==1.1rc1") == ["app 1.0", "lib 1.1rc1"]
    assert fetched(source, "app==1.0") == ["app 1.0", "lib 2.0", "lib 3.0"], (
        "each of the three requirements is fulfilled"
    )


def test_requirements_of_requested_extras(shelf: Shelf, source: PromotionSource) -> None:
    shelf.put("app", "1.0", "lib[fast]", "test-tool; extra == 'test'", "app[test]; extra == 'all'")
    shelf.put("lib", "1.0", "speed; python_version > '3' and extra == 'fast'", "app")
    shelf.put("speed", "1.0")
    shelf.put("test-tool", "1.0")
    without = ["app 1.0", "lib 1.0", "speed 1.0"]
    assert fetched(source, "app==1.0") == without
    assert fetched(source, "app[test]==1.0") == [*without, "test-tool 1.0"]
    assert fetched(source, "app[all]==1.0") == [*without, "test-tool 1.0"]
    assert fetched(source, "app==1.0", "lib==1.0", with_dependencies=False) == ["app 1.0", "lib 1.0"]


def test_wheels_of_several_platforms_may_require_different_things(shelf: Shelf, source: PromotionSource) -> None:
    shelf.put("app", "1.0", "lib", tag="py3-none-win_amd64")
    shelf.put("app", "1.0", "core", tag="py3-none-macosx_11_0_arm64")
    shelf.put("lib", "1.0")
    shelf.put("core", "1.0")
    assert fetched(source, "app==1.0") == ["app 1.0", "core 1.0", "lib 1.0"]
    assert len(shelf.read) == 4


def test_a_requirement_that_cannot_be_written_is_left_out(shelf: Shelf, source: PromotionSource) -> None:
    shelf.put("app", "1.0", r"""lib; os_name == "\x27\x22" """)
    shelf.put("lib", "1.0")
    assert fetched(source, "app==1.0") == ["app 1.0"]


def test_a_missing_version(shelf: Shelf, source: PromotionSource) -> None:
    for number in range(12):
        shelf.put("app", f"1.{number}")
    with pytest.raises(RegistryRefused) as caught:
        fetched(source, "app==2.0")
    assert words(caught.value) == [
        "us/demo-project/dev does not have app 2.0.",
        "the repository has app 1.11, 1.10, 1.9, 1.8, 1.7, 1.6, 1.5, 1.4, 1.3, 1.2 and 2 older ones",
        "choose a version that the repository has, or publish the missing version there first",
        "promote-missing",
    ]
    assert shelf.read == []


@pytest.mark.parametrize(
    ("count", "cause"), [(0, "the repository has no version of app"), (1, "the repository has app 1.0")]
)
def test_the_versions_that_a_source_has(shelf: Shelf, source: PromotionSource, count: int, cause: str) -> None:
    for number in range(count):
        shelf.put("app", f"1.{number}")
    with pytest.raises(RegistryRefused) as caught:
        fetched(source, "app==2.0")
    assert caught.value.cause == cause


def test_ten_versions_are_shown(shelf: Shelf, source: PromotionSource) -> None:
    for number in range(10):
        shelf.put("app", f"1.{number}")
    with pytest.raises(RegistryRefused) as caught:
        fetched(source, "app==2.0")
    assert caught.value.cause.endswith(" 1.1, 1.0")


def test_a_requirement_that_no_version_fulfils(shelf: Shelf, source: PromotionSource) -> None:
    shelf.put("app", "1.0", "lib>=2")
    shelf.put("lib", "1.0")
    with pytest.raises(RegistryRefused) as caught:
        fetched(source, "app==1.0")
    what = "us/demo-project/dev does not have a version of lib that app 1.0 can use (lib>=2)."
    assert (caught.value.what, caught.value.cause) == (what, "the repository has lib 1.0")


@pytest.mark.parametrize("listed", ["cd" * 32, None])
def test_contents_that_differ_from_the_index(shelf: Shelf, source: PromotionSource, listed: str | None) -> None:
    shelf.put("app", "1.0")
    shelf.sha256 = listed
    with pytest.raises(FileRefused) as caught:
        fetched(source, "app==1.0")
    assert words(caught.value) == [
        (
            "app-1.0-py3-none-any.whl in us/demo-project/dev does not match its index: "
            f"downloaded sha256 {'ab' * 32}, index sha256 {listed or 'not listed'}."
        ),
        "the registry's copy is damaged, or a proxy changes files",
        Repository.parse("us/demo-project/dev", endpoints=Endpoints()).to_compare("app"),
        "source-contents",
    ]


def test_a_full_disk(shelf: Shelf, source: PromotionSource) -> None:
    shelf.put("app", "1.0")
    shelf.full = True
    with pytest.raises(BadInput) as caught:
        fetched(source, "app==1.0")
    assert words(caught.value) == [
        "app-1.0-py3-none-any.whl cannot be stored on this machine: No space left on device.",
        "",
        "make room, or set TMPDIR to a folder on a larger disk",
        "no-room",
    ]


def test_refuses_previews() -> None:
    refuse_previews(read_pins(["hello==1.0.1.dev1", "hello==1.0+pr42.gabc1234"]))
    with pytest.raises(BadInput, match=r"hello 1\.0\.1\.dev1\+pr42\.gabc1234 is a preview \(pr42\)"):
        refuse_previews(read_pins(["lib==1.0", "hello==1.0.1.dev1+pr42.gabc1234"]))


def test_no_dependency_is_a_preview(shelf: Shelf, source: PromotionSource) -> None:
    shelf.put("app", "1.0", "lib>=1.0")
    shelf.put("lib", "1.0.1.dev1+pr42.gabc1234")
    with pytest.raises(RegistryRefused, match=r"does not have a version of lib that app 1\.0 can use"):
        source.fetch(read_pins(["app==1.0"]), with_dependencies=True)
