"""The outcome of each file, project and piece of evidence."""

import hashlib
from dataclasses import dataclass
from typing import Literal

from gar_publish.distributions.distribution import Distribution
from gar_publish.errors import Failure

Status = Literal["uploaded", "identical", "skipped", "would upload", "checked", "failed", "unknown", "not tried"]
"""`checked`: with `dry-run: build`. `unknown`: the upload was under way when the run was cancelled."""

EvidenceKind = Literal["sbom", "provenance"]


@dataclass(frozen=True)
class ExistingFile:
    """A file in the registry that was not built again.

    Attributes:
        filename: Its name.
        name: The normalised name of its package.
        version: Its version.
        size: Unknown.
    """

    filename: str
    name: str
    version: str
    size: None = None


@dataclass(frozen=True)
class PublishedFile:
    """One file and its status.

    Attributes:
        distribution: The file.
        status: Its status.
        sha256: The hash of the registry's file. It differs from the hash of `distribution` only where `if-exists: skip`
            left another file in place. If the contents are identical, `distribution` is the registry's file.
        url: Where the index serves it; empty where that is not known.
        failure: Why it failed, or why an uploaded file could not be read back.
        why: Why it was not tried, where another package is the reason; or what an identical file differs in.
    """

    distribution: Distribution | ExistingFile
    status: Status
    sha256: str
    url: str = ""
    failure: Failure | None = None
    why: str = ""


@dataclass(frozen=True)
class NotBuilt:
    """A project whose build failed.

    Attributes:
        label: The project's folder, as the user wrote it.
        failure: Why.
    """

    label: str
    failure: Failure


@dataclass(frozen=True)
class Evidence:
    """A document about the files of a version.

    Attributes:
        kind: The kind of document.
        filename: Its name in the workspace and in the registry.
        content: The document, as JSON.
    """

    kind: EvidenceKind
    filename: str
    content: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class AttachedEvidence:
    """Evidence of one version, and whether it was attached.

    Attributes:
        evidence: The document.
        name: The normalised name of the package.
        version: Its version.
        path: The copy for later steps, relative to the workspace; empty where none could be written.
        attachment: The resource name of the attachment; empty where it was not attached.
        failure: Why it was not attached.
    """

    evidence: Evidence
    name: str
    version: str
    path: str
    attachment: str = ""
    failure: Failure | None = None

    @property
    def state(self) -> str:
        """Return "attached", "not attached" or "would attach"."""
        if self.attachment:
            return "attached"
        return "not attached" if self.failure else "would attach"
