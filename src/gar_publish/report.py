"""What happened: the one value that outputs, summary, console and JSON are made from."""

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any, Literal

from gar_publish.console import printable
from gar_publish.distributions import Distribution
from gar_publish.errors import Failure
from gar_publish.evidence import AttachedEvidence, Kind
from gar_publish.install import extra_index_line, requirements_hashed
from gar_publish.repository import Repository

Status = Literal["uploaded", "identical", "skipped", "would upload", "failed", "unknown", "not tried"]
"""`unknown`: its bytes were on their way when the run was cancelled."""

_HELD: tuple[Status, ...] = ("uploaded", "identical", "skipped")
_UNKNOWN = "What is `unknown` was on its way; whether it landed is settled by running the same command again."
_CONFUSION = (
    "> pip takes the highest version of any index, so a public package of the same name can win over a private one. "
    "Pin the hashes (`requirements-hashed`), use an `explicit` index in uv, or make a virtual repository the only one."
)


@dataclass(frozen=True)
class HeldFile:
    """A file that the registry holds and that was not built again.

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
    """One file, and what became of it.

    Attributes:
        distribution: The file.
        status: What became of it.
        sha256: The hash of the registry's file: that of `distribution`, but for one that was skipped unseen.
        url: Where the index serves it; empty where that is not known.
        failure: Why it failed, or why a file that landed could not be read back.
        why: Why it was not tried, where that is another package's doing.
    """

    distribution: Distribution | HeldFile
    status: Status
    sha256: str
    url: str = ""
    failure: Failure | None = None
    why: str = ""


@dataclass(frozen=True)
class NotBuilt:
    """A project that no file came from.

    Attributes:
        label: How the user calls it.
        failure: Why.
    """

    label: str
    failure: Failure


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

    def _paths(self, kind: Kind) -> str:
        return "\n".join(dict.fromkeys(each.path for each in self.evidence if each.evidence.kind == kind and each.path))

    def as_json(self) -> str:
        """The whole report without its secret, for `--json`."""
        public: dict[str, Any] = {name: text for name, text in self.outputs().items() if name != "extra-index-url"}
        public |= {
            "packages": self.packages,
            "published": self.published,
            "repository": str(self.repository),
            "dry-run": self.dry_run,
            "verified": self.verified,
            **({"promoted-from": self.promoted_from} if self.promoted_from else {}),
            "evidence": [
                {
                    "kind": each.evidence.kind,
                    "name": each.name,
                    "version": each.version,
                    "path": each.path,
                    "sha256": each.evidence.sha256,
                    "attachment": each.attachment,
                }
                for each in self.evidence
            ],
        }
        if self.failure:
            public["failure"] = failure_as_json(self.failure)
            public["failures"] = (
                [{"project": each.label, **failure_as_json(each.failure)} for each in self.not_built]
                + [
                    {"filename": each.distribution.filename, **failure_as_json(each.failure)}
                    for each in self.files
                    if each.failure
                ]
                + [
                    {"filename": each.evidence.filename, **failure_as_json(each.failure)}
                    for each in self.evidence
                    if each.failure
                ]
            )
        return json.dumps(public, indent=2) + "\n"

    def as_text(self) -> str:
        """A line for each file, and one more where it has a failure."""
        width = max((len(each.status) for each in self.files), default=0)
        lines = [f"not built  {each.label}  {each.failure.what}" for each in self.not_built]
        for each in self.files:
            size = human_size(each.distribution.size)
            lines.append(f"{each.status:<{width}}  {each.distribution.filename}  {size}  sha256 {each.sha256}")
            if each.failure or each.why:
                lines.append(f"{'':<{width}}  {each.failure.what if each.failure else each.why}")
        lines += [f"{each.state}  {each.evidence.filename}  to {each.name} {each.version}" for each in self.evidence]
        if self._has_unknown:
            lines.append(_UNKNOWN)
        return "\n".join(lines)

    @property
    def _has_unknown(self) -> bool:
        return any(each.status == "unknown" for each in self.files)

    def as_markdown(self) -> str:
        """The step summary."""
        title = "Would publish to" if self.dry_run else "Published to"
        if self.failure:
            title = "Did not finish publishing to"
        rows = [
            f"| {each['name']} | {each['version']} | `{file['filename']}` | {human_size(file['size'])} "
            f"| `{file['sha256']}` | {': '.join([file['status'], *([file['why']] if 'why' in file else [])])} |"
            for each in self.packages
            for file in each["files"]
        ]
        if not self.files and not self.failure:
            title = "Nothing to publish to"
        source = f", from `{self.promoted_from}`" if self.promoted_from else ""
        parts = [f"### {title} `{self.repository}`{source}", ""]
        if rows:
            header = ["| package | version | file | size | SHA-256 | status |", "| --- | --- | --- | --- | --- | --- |"]
            parts += [*header, *rows, ""]
        parts += self._evidence_table()
        if self._has_unknown:
            parts += [_UNKNOWN, ""]
        for failure in self.failures:
            parts += [failure_as_markdown(failure), ""]
        if self.verified:
            parts += ["Every file was read back from the index, and its SHA-256 is the one above.", ""]
        if self.pins and not self.dry_run and not self.failure:
            parts += self._how_to_install()
        return "\n".join(parts)

    def _evidence_table(self) -> list[str]:
        rows = [
            f"| {each.name} | {each.version} | `{each.evidence.filename}` | `{each.evidence.sha256}` | {each.state} |"
            for each in self.evidence
        ]
        header = ["| package | version | evidence | SHA-256 | status |", "| --- | --- | --- | --- | --- |"]
        return [*header, *rows, ""] if rows else []

    def _how_to_install(self) -> list[str]:
        pins = " ".join(self.pins)
        return [
            "Install in a later step of the same job (`id` is that of the publishing step):",
            "",
            "```sh",
            f"pip install ${{{{ steps.id.outputs.extra-index-url }}}} {pins}",
            "```",
            "",
            f"Anywhere else, with a token of your own: `{self.repository.index_url}`",
            "",
            _CONFUSION,
            "",
        ]


def failure_as_markdown(failure: Failure) -> str:
    """A failure for the step summary."""
    fence = "````"
    title = html.escape(printable(" ".join(failure.what.split()))).replace("[", "&#91;")
    return f"### {title}\n\n{fence}text\n{printable(failure.explain()).replace(fence, '')}\n{fence}\n"


def failure_as_json_text(failure: Failure) -> str:
    """What `--json` holds where the run stopped before there was a report."""
    return json.dumps({"failure": failure_as_json(failure)}, indent=2) + "\n"


def failure_as_json(failure: Failure) -> dict[str, Any]:
    return {
        "what": failure.what,
        "cause": failure.cause,
        "fix": failure.fix,
        "detail": failure.detail,
        "docs": failure.docs,
        "exit-code": failure.exit_code,
    }


def human_size(size: int | None) -> str:
    """A number of bytes for people: 812 B, 3.4 kB, 1.2 MB (powers of 1,000)."""
    if size is None:
        return "-"
    amount, units = float(size), ["B", "kB", "MB", "GB"]
    while amount >= 1000 and len(units) > 1:  # noqa: PLR2004 - see above
        amount /= 1000
        units.pop(0)
    return f"{size} B" if units[0] == "B" else f"{amount:.1f} {units[0]}"


def _package(file: PublishedFile) -> tuple[str, str]:
    return file.distribution.name, file.distribution.version


def rfc3339(moment: datetime | None) -> str:
    """A moment as RFC 3339 has it, in UTC; empty for none."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else ""
