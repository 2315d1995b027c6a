import concurrent.futures
from dataclasses import replace
from pathlib import Path

import pytest

from emulated import REPOSITORY, STORED, put
from gar_emulator.cloud.package_store import AlreadyExists, PackageStore, rfc3339


def test_file_has_a_plain_path_and_survives_a_restart(tmp_path: Path) -> None:
    put(PackageStore(tmp_path))
    place = tmp_path / "us-central1/demo-project/python/my-pkg/my_pkg-1.0-py3-none-any.whl"
    assert place.read_bytes() == b"bytes"
    again = PackageStore(tmp_path)
    assert again.files(REPOSITORY) == [STORED]
    assert again.path(REPOSITORY, STORED) == place
    assert again.find(REPOSITORY, STORED.filename) == STORED
    assert again.files(replace(REPOSITORY, name="other")) == []


def test_files_of_one_package(tmp_path: Path) -> None:
    other = replace(STORED, package="other", filename="other-1.0-py3-none-any.whl")
    store = PackageStore(tmp_path)
    for stored in (STORED, other):
        put(store, stored)
    for each in (store, PackageStore(tmp_path)):
        assert each.files(REPOSITORY) == [STORED, other]
        assert each.files(REPOSITORY, "my-pkg") == [STORED]
        assert each.files(REPOSITORY, "nothing") == []
    store.remove(REPOSITORY, STORED)
    assert store.files(REPOSITORY, "my-pkg") == []


def test_existing_name_is_refused_and_the_first_file_stays(tmp_path: Path) -> None:
    store = PackageStore(tmp_path)
    put(store)
    with pytest.raises(AlreadyExists):
        put(store, content=b"other")
    assert store.path(REPOSITORY, STORED).read_bytes() == b"bytes"
    assert list((tmp_path / ".incoming").iterdir()) == []


def test_one_of_many_concurrent_uploads_wins(tmp_path: Path) -> None:
    store = PackageStore(tmp_path)

    def attempt(number: int) -> bool:
        try:
            put(store, content=str(number).encode())
        except AlreadyExists:
            return False
        return True

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(40))) == 1


def test_crash_between_the_renames_leaves_no_file_and_can_be_retried(tmp_path: Path) -> None:
    place = tmp_path / "us-central1/demo-project/python/my-pkg" / STORED.filename
    place.parent.mkdir(parents=True)
    place.write_bytes(b"half done")
    (tmp_path / ".incoming").mkdir()
    (tmp_path / ".incoming/draft").write_bytes(b"left over")
    store = PackageStore(tmp_path)
    assert store.files(REPOSITORY) == []
    assert list((tmp_path / ".incoming").iterdir()) == []
    put(store)
    assert place.read_bytes() == b"bytes"


def test_removed_file_is_gone_and_can_be_uploaded_again(tmp_path: Path) -> None:
    store = PackageStore(tmp_path)
    put(store)
    store.remove(REPOSITORY, STORED)
    assert store.files(REPOSITORY) == PackageStore(tmp_path).files(REPOSITORY) == []
    put(store)


def test_created_repository_survives_a_restart(tmp_path: Path) -> None:
    PackageStore(tmp_path).create(replace(REPOSITORY, name="new"))
    assert list(PackageStore(tmp_path).repositories.values()) == [replace(REPOSITORY, name="new")]


def test_times_are_rfc3339() -> None:
    assert rfc3339(1000.5) == "1970-01-01T00:16:40.500000Z"
