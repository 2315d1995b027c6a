"""The packages of all repositories, on disk.

A file is `LOCATION/PROJECT/REPOSITORY/PACKAGE/FILE`, described by `FILE.json` beside it. It exists as soon as its JSON
does, and both are put in place by renaming, so a crash leaves no half-written file.
"""

import json
import secrets
import threading
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from gar_emulator.cloud.data_folder import reading
from gar_emulator.world.world import Repository


class AlreadyExists(Exception):
    """The repository already has a file of that name."""


@dataclass(frozen=True)
class StoredFile:
    """A distribution in a repository.

    Attributes:
        package: The normalised name of the project (PEP 503).
        created: Seconds since the epoch.
    """

    package: str
    version: str
    filename: str
    size: int
    sha256: str
    md5: str
    requires_python: str
    created: float

    @property
    def created_at(self) -> str:
        return rfc3339(self.created)


class PackageStore:
    """The files of every repository, and the repositories that API calls created."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._incoming = folder / ".incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)
        for leftover in self._incoming.iterdir():
            leftover.unlink()
        self.repositories: dict[str, Repository] = {}
        self._files: dict[str, dict[str, StoredFile]] = {}
        self._packages: dict[tuple[str, str], dict[str, StoredFile]] = {}
        self._deleted: set[tuple[str, str]] = set()
        for record in folder.glob("*/*/*/repository.json"):
            with reading(record):
                repository = Repository(**json.loads(record.read_text("utf-8")))
            self.repositories[repository.resource] = repository
        for record in folder.glob("*/*/*/*/*.json"):
            location, project, name, _, _ = record.relative_to(folder).parts
            with reading(record):
                stored = StoredFile(**json.loads(record.read_text("utf-8")))
                if record.with_suffix("").stat().st_size != stored.size:
                    raise ValueError
            self._keep(Repository(project, location, name), stored)

    def draft(self) -> Path:
        """Return a new temporary path, on the file system of the final one."""
        return self._incoming / secrets.token_hex(8)

    def add(self, repository: Repository, draft: Path, stored: StoredFile) -> None:
        """Move a temporary file into a repository.

        Raises:
            AlreadyExists: The repository already has a file of that name; the draft stays.
        """
        target = self.path(repository, stored)
        record = self.draft()
        record.write_text(json.dumps(asdict(stored), indent=2), "utf-8")
        with self._lock:
            if stored.filename in self._of(repository):
                record.unlink()
                raise AlreadyExists(stored.filename)
            target.parent.mkdir(parents=True, exist_ok=True)
            draft.replace(target)
            record.replace(target.with_name(f"{target.name}.json"))
            self._keep(repository, stored)

    def remove(self, repository: Repository, stored: StoredFile) -> None:
        target = self.path(repository, stored)
        with self._lock:
            self._of(repository).pop(stored.filename, None)
            self._of_package(repository, stored.package).pop(stored.filename, None)
            self._deleted.add((repository.resource, stored.filename))
            target.with_name(f"{target.name}.json").unlink(missing_ok=True)
            target.unlink(missing_ok=True)

    def create(self, repository: Repository) -> None:
        folder = self._place(repository)
        record = self.draft()
        record.write_text(json.dumps(vars(repository), indent=2, default=dict), "utf-8")
        with self._lock:
            folder.mkdir(parents=True, exist_ok=True)
            record.replace(folder / "repository.json")
            self.repositories[repository.resource] = repository

    def delete(self, repository: Repository) -> None:
        """Delete a repository and its files."""
        for stored in self.files(repository):
            self.remove(repository, stored)
        with self._lock:
            self.repositories.pop(repository.resource, None)
            self._deleted = {item for item in self._deleted if item[0] != repository.resource}
            (self._place(repository) / "repository.json").unlink(missing_ok=True)

    def files(self, repository: Repository, package: str | None = None) -> list[StoredFile]:
        """Return the files of a repository, or of one of its packages."""
        with self._lock:
            found = self._of(repository) if package is None else self._of_package(repository, package)
            return sorted(found.values(), key=lambda stored: (stored.package, stored.filename))

    def find(self, repository: Repository, filename: str) -> StoredFile | None:
        with self._lock:
            return self._of(repository).get(filename)

    def was_deleted(self, repository: Repository, filename: str) -> bool:
        """Return whether a file of that name was deleted since the emulator started."""
        with self._lock:
            return (repository.resource, filename) in self._deleted

    def path(self, repository: Repository, stored: StoredFile) -> Path:
        return self._place(repository) / stored.package / stored.filename

    def _place(self, repository: Repository) -> Path:
        return self._folder / repository.location / repository.project / repository.name

    def _of(self, repository: Repository) -> dict[str, StoredFile]:
        return self._files.setdefault(repository.resource, {})

    def _of_package(self, repository: Repository, package: str) -> dict[str, StoredFile]:
        return self._packages.setdefault((repository.resource, package), {})

    def _keep(self, repository: Repository, stored: StoredFile) -> None:
        self._of(repository)[stored.filename] = stored
        self._of_package(repository, stored.package)[stored.filename] = stored


def rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
