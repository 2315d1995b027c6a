"""Add files to an emulator's repositories without an upload."""

import hashlib
import time
from pathlib import Path

from gar_emulator import Emulator
from gar_emulator.cloud.package_store import StoredFile
from gar_emulator.world.world import Repository
from gar_publish.distributions.distribution import read


def store(emulator: Emulator, repository: Repository, *paths: Path) -> None:
    """Add files to a repository, as if they had been uploaded some time ago."""
    for path in paths:
        about, content = read(path), path.read_bytes()
        draft = emulator.cloud.store.draft()
        draft.write_bytes(content)
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        stored = StoredFile(about.name, about.version, path.name, about.size, about.sha256, md5, "", time.time() - 1000)
        emulator.cloud.store.add(repository, draft, stored)
