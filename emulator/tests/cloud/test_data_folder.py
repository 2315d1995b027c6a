"""Every damaged file in a data folder is named, with a fix."""

from pathlib import Path

import pytest

from emulated import PUBLISHER, STORED, put
from gar_emulator import Emulator
from gar_emulator.cloud.package_store import PackageStore
from gar_emulator.errors import EmulatorError
from gar_emulator.world.world import Repository

DAMAGES = (b"", b"\xff\x00", b"{}", b"[]", b'{"private_key": "x", "client_email": 1}')
REPOSITORIES = "repositories/us-central1/demo-project"
FILES = {
    "keys/tokens.key": "keys/tokens.key",
    "keys/github.pem": "keys/github.pem",
    f"keys/{PUBLISHER}.json": f"keys/{PUBLISHER}.json",
    "keys/ca-key.pem": "ca.pem",
    "ca.pem": "ca.pem",
    f"{REPOSITORIES}/new/repository.json": f"{REPOSITORIES}/new/repository.json",
    f"{REPOSITORIES}/python/my-pkg/{STORED.filename}": f"{REPOSITORIES}/python/my-pkg/{STORED.filename}.json",
    f"{REPOSITORIES}/python/my-pkg/{STORED.filename}.json": f"{REPOSITORIES}/python/my-pkg/{STORED.filename}.json",
}
"""Every kind of file, and the one to remove when it is damaged."""


@pytest.fixture
def used(data: Path) -> Path:
    """Return a data folder with every kind of file."""
    store = PackageStore(data / "repositories")
    store.create(Repository("demo-project", "us-central1", "new"))
    put(store)
    with Emulator(data=data, tls=True):
        pass
    return data


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", FILES)
def test_fix_of_a_damaged_file_works(used: Path, file: str, damage: bytes) -> None:
    (used / file).write_bytes(damage)
    with (
        pytest.raises(EmulatorError, match="in its data folder: it is damaged") as caught,
        Emulator(data=used, tls=True),
    ):
        pass
    assert f"remove {used / FILES[file]}," in caught.value.fix
    (used / FILES[file]).unlink()
    with Emulator(data=used, tls=True):
        pass


def test_unreadable_file(used: Path) -> None:
    (used / "keys/github.pem").unlink()
    (used / "keys/github.pem").mkdir()
    with pytest.raises(EmulatorError, match=r"cannot use github\.pem in its data folder: Is a directory\."):
        Emulator(data=used)
