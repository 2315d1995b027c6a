"""What happened: the one value that outputs, summary, console and JSON are made from."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any

from gar_publish.console import rfc3339
from gar_publish.errors import Failure
from gar_publish.registry.outcomes import AttachedEvidence, EvidenceKind, NotBuilt, PublishedFile, Status
from gar_publish.settings.index_url import extra_index_line, requirements_hashed
from gar_publish.settings.repository import Repository

_HELD: tuple[Status, ...] = ("uploaded", "identical", "skipped")


@dataclass(frozen=True)
class Report:
    """The outcome of one publishing run.

    Attributes:
        repository: Where to.
        files: Every file of the run.
        dry_run: Whether uploading was left out on purpose.
        verified: Whether every file was read back and its bytes compared.
        index_token: The token for the ready line; empty where none is handed out.
        token_expires_at: When that token ends, where that is known.
        stopped: What ended the whole run early: that it was cancelled.
        not_built: The projects whose builds failed.
        promoted_from: The repository that the files came from; empty where they were not promoted.
        evidence: What was made to prove it.
    """

    repository: Repository
    files: tuple[PublishedFile, ...]
    dry_run: bool
    verified: bool
    index_token: str = field(repr=False)
    token_expires_at: datetime | None
    stopped: Failure | None = None
    not_built: tuple[NotBuilt, ...] = ()
    promoted_from: str = ""
    evidence: tuple[AttachedEvidence, ...] = ()

    @property
    def failures(self) -> list[Failure]:
        """Everything that went wrong, each once; the first gives the exit code."""
        all_ = [
            self.stopped,
            *(each.failure for each in self.not_built),
            *(each.failure for each in self.files),
            *(each.failure for each in self.evidence),
        ]
        return list({failure.what: failure for failure in all_ if failure}.values())

    @property
    def failure(self) -> Failure | None:
        return next(iter(self.failures), None)

    @property
    def pins(self) -> Mapping[str, list[str]]:
        """The hashes of each `name==version` that the registry holds, or would hold after a dry run."""
        pins: dict[str, list[str]] = {}
        for each in sorted(self.files, key=_package):
            if each.status in _HELD or (self.dry_run and each.status == "would upload"):
                pins.setdefault("{}=={}".format(*_package(each)), []).append(each.sha256)
        return pins

    @property
    def published(self) -> bool:
        return any(each.status == "uploaded" for each in self.files)

    @property
    def has_unknown(self) -> bool:
        return any(each.status == "unknown" for each in self.files)

    @property
    def extra_index_url(self) -> str:
        return extra_index_line(self.repository.index_url, self.index_token) if self.index_token else ""

    @property
    def packages(self) -> list[dict[str, Any]]:
        """Each package with its files, as the output `packages` has it."""
        return [
            {
                "name": name,
                "version": version,
                "files": [
                    {
                        "filename": each.distribution.filename,
                        "sha256": each.sha256,
                        "size": each.distribution.size,
                        "url": each.url,
                        "status": each.status,
                        **({"why": each.why} if each.why else {}),
                    }
                    for each in files
                ],
            }
            for (name, version), files in groupby(sorted(self.files, key=_package), key=_package)
        ]

    def outputs(self) -> Mapping[str, str]:
        """The outputs of `action.yml`; the first alone is a secret."""
        packages = self.packages
        only = packages[0] if len(packages) == 1 else {"name": "", "version": ""}
        return {
            "extra-index-url": self.extra_index_url,
            "index-url": self.repository.index_url,
            "requirements": "\n".join(self.pins),
            "requirements-hashed": requirements_hashed(self.pins),
            "packages": json.dumps(packages, separators=(",", ":")),
            "name": only["name"],
            "version": only["version"],
            "published": "true" if self.published else "false",
            "token-expires-at": rfc3339(self.token_expires_at) if self.index_token else "",
            "sboms": self._paths("sbom"),
            "provenance": self._paths("provenance"),
        }

    def _paths(self, kind: EvidenceKind) -> str:
        return "\n".join(dict.fromkeys(each.path for each in self.evidence if each.evidence.kind == kind and each.path))


def _package(file: PublishedFile) -> tuple[str, str]:
    return file.distribution.name, file.distribution.version
