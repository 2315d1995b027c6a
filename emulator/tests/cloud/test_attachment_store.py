from pathlib import Path

import pytest

from gar_emulator.cloud.attachment_store import AttachmentStore
from gar_emulator.cloud.package_store import AlreadyExists
from gar_emulator.errors import EmulatorError
from gar_emulator.world.world import Repository

PYTHON = Repository("demo-project", "us", "python")


def test_file_is_stored_once(tmp_path: Path) -> None:
    store = AttachmentStore(tmp_path)
    file = store.add_file(PYTHON, b"content", 1.0)
    with pytest.raises(AlreadyExists):
        store.add_file(PYTHON, b"content", 2.0)
    store.annotate(PYTHON, file, {"a": "b"}, 3.0)
    (found,) = AttachmentStore(tmp_path).files(PYTHON)
    assert (found.size, found.created, found.updated, found.annotations) == (7, 1.0, 3.0, {"a": "b"})
    assert store.path(PYTHON, file.sha256).read_bytes() == b"content"
    assert list(store.files(Repository("demo-project", "eu", "python"))) == []


def test_damaged_record_is_explained(tmp_path: Path) -> None:
    store = AttachmentStore(tmp_path)
    file = store.add_file(PYTHON, b"content", 1.0)
    store.path(PYTHON, file.sha256).with_suffix(".json").write_text("{")
    with pytest.raises(EmulatorError, match="it is damaged"):
        list(store.files(PYTHON))
