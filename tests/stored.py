"""Add files to an emulator's repositories without an upload."""

import hashlib
import time
from pathlib import Path

from gar_emulator import Emulator
from gar_emulator.cloud.package_store import StoredFile
from gar_emulator.world.world import Repository
from gar_publish.distributions import filenames


def store(emulator: Emulator, repository: Repository, *paths: Path) -> None:
    """Add files to a repository, as if they had been uploaded some time ago."""
    for path in paths:
        store_bytes(emulator, repository, path.name, path.read_bytes())


def store_bytes(emulator: Emulator, repository: Repository, filename: str, content: bytes) -> None:
    """Add a file to a repository, whatever its contents are."""
    name, version, _ = filenames.parse(filename)
    draft = emulator.cloud.store.draft()
    draft.write_bytes(content)
    sha256, md5 = hashlib.sha256(content).hexdigest(), hashlib.md5(content, usedforsecurity=False).hexdigest()
    stored = StoredFile(name, str(version), filename, len(content), sha256, md5, "", time.time() - 1000)
    emulator.cloud.store.add(repository, draft, stored)
