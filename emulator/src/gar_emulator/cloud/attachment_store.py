"""Attachments and their files, on disk.

A file is `LOCATION/PROJECT/REPOSITORY/files/SHA256`, described by `SHA256.json` beside it; an attachment is
`attachments/ID.json`. Each is put in place by renaming, so a crash leaves no half-written file.
"""

import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from gar_emulator.cloud.data_folder import reading
from gar_emulator.cloud.package_store import AlreadyExists
from gar_emulator.world.world import Repository


@dataclass(frozen=True)
class AttachedFile:
    """A file that was uploaded to be attached.

    Attributes:
        created: Seconds since the epoch.
        updated: Seconds since the epoch.
    """

    sha256: str
    md5: str
    size: int
    created: float
    updated: float
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Attachment:
    """An attachment.

    Attributes:
        target: The resource to which it is attached, by name.
        files: The resource names of its files.
        created: Seconds since the epoch.
    """

    id: str
    target: str
    type: str
    namespace: str
    annotations: Mapping[str, str]
    files: tuple[str, ...]
    created: float


class AttachmentStore:
    """The attachments of every repository."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def add_file(self, repository: Repository, content: bytes, now: float) -> AttachedFile:
        """Add a file.

        Raises:
            AlreadyExists: The repository already has it.
        """
        digest = hashlib.sha256(content).hexdigest()
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        with self._lock:
            if self.file(repository, digest):
                raise AlreadyExists(digest)
            self._put(self.path(repository, digest), content)
            return self._record(repository, AttachedFile(digest, md5, len(content), now, now))

    def annotate(self, repository: Repository, file: AttachedFile, annotations: Mapping[str, str], now: float) -> None:
        with self._lock:
            self._record(repository, replace(file, annotations=annotations, updated=now))

    def file(self, repository: Repository, sha256: str) -> AttachedFile | None:
        record = self.path(repository, sha256).with_suffix(".json")
        if not record.is_file():
            return None
        with reading(record):
            return AttachedFile(**json.loads(record.read_text("utf-8")))

    def files(self, repository: Repository) -> Iterator[AttachedFile]:
        for record in sorted(self._place(repository, "files").glob("*.json")):
            with reading(record):
                yield AttachedFile(**json.loads(record.read_text("utf-8")))

    def path(self, repository: Repository, sha256: str) -> Path:
        return self._place(repository, "files") / sha256

    def add(self, repository: Repository, attachment: Attachment) -> None:
        """Add an attachment.

        Raises:
            AlreadyExists: The repository already has one with that id.
        """
        record = self._place(repository, "attachments") / f"{attachment.id}.json"
        with self._lock:
            if record.exists():
                raise AlreadyExists(attachment.id)
            self._put(record, json.dumps(asdict(attachment), indent=2).encode())

    def remove(self, repository: Repository, attachment: Attachment) -> None:
        (self._place(repository, "attachments") / f"{attachment.id}.json").unlink(missing_ok=True)

    def attachments(self, repository: Repository) -> Iterator[Attachment]:
        for record in sorted(self._place(repository, "attachments").glob("*.json")):
            with reading(record):
                found = json.loads(record.read_text("utf-8"))
                yield Attachment(**{**found, "files": tuple(found["files"])})

    def _record(self, repository: Repository, file: AttachedFile) -> AttachedFile:
        self._put(self.path(repository, file.sha256).with_suffix(".json"), json.dumps(asdict(file), indent=2).encode())
        return file

    def _put(self, target: Path, content: bytes) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        draft.write_bytes(content)
        draft.replace(target)

    def _place(self, repository: Repository, kind: str) -> Path:
        return self._folder / repository.location / repository.project / repository.name / kind
