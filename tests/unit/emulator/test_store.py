import concurrent.futures
from dataclasses import replace
from pathlib import Path

import pytest

from gar_publish.emulator.store import AlreadyExists, Store, StoredFile, rfc3339
from gar_publish.emulator.world import Repository

PYTHON = Repository("demo-project", "us-central1", "python")
WHEEL = StoredFile("my-pkg", "1.0", "my_pkg-1.0-py3-none-any.whl", 5, "aa", "bb", ">=3.9", 1000.5)


def _put(store: Store, stored: StoredFile = WHEEL, content: bytes = b"bytes") -> None:
    draft = store.draft()
    draft.write_bytes(content)
    try:
        store.add(PYTHON, draft, stored)
    finally:
        draft.unlink(missing_ok=True)


def test_file_is_where_one_looks_for_it_and_survives_a_restart(tmp_path: Path) -> None:
    _put(Store(tmp_path))
    place = tmp_path / "us-central1/demo-project/python/my-pkg/my_pkg-1.0-py3-none-any.whl"
    assert place.read_bytes() == b"bytes"
    again = Store(tmp_path)
    assert again.files(PYTHON) == [WHEEL]
    assert again.path(PYTHON, WHEEL) == place
    assert again.find(PYTHON, WHEEL.filename) == WHEEL
    assert again.files(replace(PYTHON, name="other")) == []


def test_a_package_has_its_own_files_alone(tmp_path: Path) -> None:
    other = replace(WHEEL, package="other", filename="other-1.0-py3-none-any.whl")
    store = Store(tmp_path)
    for stored in (WHEEL, other):
        _put(store, stored)
    for each in (store, Store(tmp_path)):
        assert each.files(PYTHON) == [WHEEL, other]
        assert each.files(PYTHON, "my-pkg") == [WHEEL]
        assert each.files(PYTHON, "nothing") == []
    store.remove(PYTHON, WHEEL)
    assert store.files(PYTHON, "my-pkg") == []


def test_same_name_is_refused_and_the_first_bytes_stay(tmp_path: Path) -> None:
    store = Store(tmp_path)
    _put(store)
    with pytest.raises(AlreadyExists):
        _put(store, content=b"other")
    assert store.path(PYTHON, WHEEL).read_bytes() == b"bytes"
    assert list((tmp_path / ".incoming").iterdir()) == []


def test_one_of_many_at_once_wins(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def attempt(number: int) -> bool:
        try:
            _put(store, content=str(number).encode())
        except AlreadyExists:
            return False
        return True

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(40))) == 1


def test_crash_between_the_two_renames_leaves_no_file_and_no_obstacle(tmp_path: Path) -> None:
    place = tmp_path / "us-central1/demo-project/python/my-pkg" / WHEEL.filename
    place.parent.mkdir(parents=True)
    place.write_bytes(b"half done")
    (tmp_path / ".incoming").mkdir()
    (tmp_path / ".incoming/draft").write_bytes(b"left over")
    store = Store(tmp_path)
    assert store.files(PYTHON) == []
    assert list((tmp_path / ".incoming").iterdir()) == []
    _put(store)
    assert place.read_bytes() == b"bytes"


def test_removed_file_is_gone_and_its_name_is_free(tmp_path: Path) -> None:
    store = Store(tmp_path)
    _put(store)
    store.remove(PYTHON, WHEEL)
    assert store.files(PYTHON) == Store(tmp_path).files(PYTHON) == []
    _put(store)


def test_made_repository_survives_a_restart(tmp_path: Path) -> None:
    Store(tmp_path).create(replace(PYTHON, name="new"))
    assert list(Store(tmp_path).repositories.values()) == [replace(PYTHON, name="new")]


def test_times_are_rfc3339() -> None:
    assert rfc3339(1000.5) == "1970-01-01T00:16:40.500000Z"
