"""The outcome of a publishing run, from which outputs, step summary, log and JSON are made."""

import json
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from typing import Any, Literal

from packaging.utils import canonicalize_name

from gar_publish.console import rfc3339
from gar_publish.distributions.distribution import Distribution, is_needed
from gar_publish.errors import Failure
from gar_publish.registry.outcomes import AttachedEvidence, EvidenceKind, NotBuilt, PublishedFile, Status
from gar_publish.rehearsal.outcome import Rehearsal
from gar_publish.settings.index_url import extra_index_option, requirements_hashed
from gar_publish.settings.repository import Repository

_IN_REGISTRY: tuple[Status, ...] = ("uploaded", "identical", "skipped")
_PLAIN = re.compile(r"[\w .,;()\[\]<>=!~+*\"-]+", re.ASCII)
"""What is neither a command of any shell nor Markdown, in single quotes. A marker can have any characters."""


@dataclass(frozen=True)
class Report:
    """The outcome of one publishing run.

    Attributes:
        repository: The repository that was published to; None with `dry-run: build`.
        files: Every file of the run.
        dry_run: Whether `dry-run` was set.
        verified: Whether every file was read back and is identical.
        index_token: The token in the install option; empty where there is none.
        token_expires_at: When that token expires, where that is known.
        token_warning: That it expires soon; empty where it does not.
        stopped: The failure that ended the whole run early, such as a cancellation.
        not_built: The projects whose builds failed.
        promoted_from: The repository that the files were promoted from; empty where they were not.
        evidence: The SBOMs and provenance statements.
        lock: The path of the lock; empty where there is none.
        warnings: What is wrong with files that are published all the same.
        rehearsals: The installations in clean environments.
        preview: Whose preview this is, such as `pr42`; empty for releases.
    """

    repository: Repository | None
    files: tuple[PublishedFile, ...]
    dry_run: bool
    verified: bool
    index_token: str = field(repr=False)
    token_expires_at: datetime | None
    token_warning: str = ""
    stopped: Failure | None = None
    not_built: tuple[NotBuilt, ...] = ()
    promoted_from: str = ""
    evidence: tuple[AttachedEvidence, ...] = ()
    lock: str = ""
    warnings: tuple[str, ...] = ()
    rehearsals: tuple[Rehearsal, ...] = ()
    preview: str = ""

    @property
    def failures(self) -> list[Failure]:
        """All failures, each once; the first decides the exit code."""
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
        """The hashes of each `name==version` in the registry; in a dry run, also of the other files."""
        pins: dict[str, list[str]] = {}
        for each in sorted(self.files, key=_package):
            if each.status in _IN_REGISTRY or (self.dry_run and each.status in {"would upload", "checked"}):
                pins.setdefault("{}=={}".format(*_package(each)), []).append(each.sha256)
        return pins

    @property
    def published(self) -> bool:
        return any(each.status == "uploaded" for each in self.files)

    @property
    def has_unknown(self) -> bool:
        return any(each.status == "unknown" for each in self.files)

    @property
    def index_url(self) -> str:
        return self.repository.index_url if self.repository else ""

    @property
    def packages(self) -> list[dict[str, Any]]:
        """Each package with its files, as in the output `packages`."""
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

    def translated(self, words: Callable[[str], str]) -> "Report":
        """Return the same report with its failures in other words."""
        return replace(
            self,
            stopped=self.stopped and self.stopped.translated(words),
            not_built=tuple(replace(each, failure=each.failure.translated(words)) for each in self.not_built),
            files=tuple(replace(each, failure=each.failure and each.failure.translated(words)) for each in self.files),
            evidence=tuple(
                replace(each, failure=each.failure and each.failure.translated(words)) for each in self.evidence
            ),
        )

    def outputs(self) -> Mapping[str, str]:
        """Return the outputs of `action.yml`. Only the first one is a secret."""
        packages = self.packages
        only = packages[0] if len(packages) == 1 else {"name": "", "version": ""}
        return {
            "extra-index-url": extra_index_option(self.index_url, self.index_token) if self.index_token else "",
            "index-url": self.index_url,
            "requirements": "\n".join(self.pins),
            "requirements-hashed": requirements_hashed(self.pins),
            "lock": self.lock,
            "packages": json.dumps(packages, separators=(",", ":")),
            "name": only["name"],
            "version": only["version"],
            "published": "true" if self.published else "false",
            "token-expires-at": rfc3339(self.token_expires_at) if self.index_token else "",
            "sboms": self._paths("sbom"),
            "provenance": self._paths("provenance"),
            "preview-install": self.preview_install("pip"),
            "preview-install-uv": self.preview_install("uv"),
        }

    def preview_install(self, tool: Literal["pip", "uv"]) -> str:
        """Return the command that installs all packages of a preview, without a token; empty if they are not there.

        uv would take other packages from the repository of previews as well, if they have previews alone. With these
        options, it takes them from the index that has a release, and takes pre-releases only of what the command names.
        """
        if not self.repository or not self.preview or not self.pins or self.dry_run or self.failure:
            return ""
        options = {
            "pip": "pip install --extra-index-url {}",
            "uv": "uv pip install --index {} --index-strategy unsafe-first-match --prerelease explicit",
        }
        more = self._exact_prereleases() if tool == "uv" else []
        return " ".join([options[tool].format(self.repository.index_url), *self.pins, *map(shlex.quote, more)])

    def _exact_prereleases(self) -> list[str]:
        """Return the requirements on one pre-release each, of packages that are not in this run."""
        files = [each.distribution for each in self.files if isinstance(each.distribution, Distribution)]
        names = {each.name for each in files}
        found = {
            str(requirement)
            for file in files
            for requirement in file.requirements
            if any(each.operator == "==" and each.prereleases for each in requirement.specifier)
            and canonicalize_name(requirement.name) not in names
            and is_needed(requirement)
        }
        return sorted(filter(_PLAIN.fullmatch, found))

    def _paths(self, kind: EvidenceKind) -> str:
        return "\n".join(dict.fromkeys(each.path for each in self.evidence if each.evidence.kind == kind and each.path))


def _package(file: PublishedFile) -> tuple[str, str]:
    return file.distribution.name, file.distribution.version
