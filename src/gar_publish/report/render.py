"""A report, or the failure of a run without one, as text for the log, Markdown for the step summary, and JSON."""

import html
import json
from typing import TYPE_CHECKING, Any

from gar_publish.console import human_size, printable
from gar_publish.errors import Failure

if TYPE_CHECKING:
    from gar_publish.rehearsal.outcome import Rehearsal
    from gar_publish.report.report import Report

_VERIFIED = "Every file was read back from the index, and its SHA-256 is the one above."
_UNKNOWN = "`unknown`: the upload had no answer when the run was cancelled. Run the same command again to find out."
_CONFUSION = (
    "> pip installs the highest version from any index, so a public package can replace a private one of its name. "
    "Pin hashes (`requirements-hashed`), use an explicit index in uv, or make a virtual repository the only index."
)


def as_text(report: "Report") -> str:
    """Return a line for each project that was not built, each file and each piece of evidence."""
    width = max((len(each.status) for each in report.files), default=0)
    lines = [f"not built  {each.label}" for each in report.not_built]
    for each in report.files:
        size = human_size(each.distribution.size)
        lines.append(f"{each.status:<{width}}  {each.distribution.filename}  {size}  sha256 {each.sha256}")
        if each.why:
            lines.append(f"{'':<{width}}  {each.why}")
    lines += [f"rehearsal {each.state}  {each.name} {each.version}, {each.title}" for each in report.rehearsals]
    lines += [f"{each.state}  {each.evidence.filename}  to {each.name} {each.version}" for each in report.evidence]
    if report.has_unknown:
        lines.append(_UNKNOWN)
    if report.verified:
        lines.append(_VERIFIED)
    return "\n".join(lines)


def as_markdown(report: "Report | Failure") -> str:
    """Return the step summary of a run."""
    if isinstance(report, Failure):
        return failure_as_markdown(report)
    source = f", from `{report.promoted_from}`" if report.promoted_from else ""
    parts = [f"### {_title(report)} `{report.repository}`{source}", ""]
    files = [
        f"| {each['name']} | {each['version']} | `{file['filename']}` | {human_size(file['size'])} "
        f"| `{file['sha256']}` | {': '.join([file['status'], *([file['why']] if 'why' in file else [])])} |"
        for each in report.packages
        for file in each["files"]
    ]
    parts += _table("| package | version | file | size | SHA-256 | status |", files)
    evidence = [
        f"| {each.name} | {each.version} | `{each.evidence.filename}` | `{each.evidence.sha256}` | {each.state} |"
        for each in report.evidence
    ]
    parts += _table("| package | version | evidence | SHA-256 | status |", evidence)
    rehearsals = [
        f"| {each.name} | {each.version} | {each.title} | {': '.join([each.state, *map(_in_table, _said(each))])} |"
        for each in report.rehearsals
    ]
    parts += _table("| package | version | rehearsed with | outcome |", rehearsals)
    if report.has_unknown:
        parts += [_UNKNOWN, ""]
    if report.warnings:
        parts += [*(f"- Warning: {_escaped(each)}" for each in report.warnings), ""]
    for failure in report.failures:
        parts += [failure_as_markdown(failure), ""]
    if report.verified:
        parts += [_VERIFIED, ""]
    if report.pins and not report.dry_run and not report.failure:
        parts += _how_to_install(report)
    return "\n".join(parts)


def _title(report: "Report") -> str:
    if report.failure:
        return "Did not finish publishing to"
    if not report.files:
        return "Nothing to publish to"
    return "Would publish to" if report.dry_run else "Published to"


def _table(header: str, rows: list[str]) -> list[str]:
    return [header, "|" + " --- |" * (header.count("|") - 1), *rows, ""] if rows else []


def _how_to_install(report: "Report") -> list[str]:
    pins = " ".join(report.pins)
    return [
        "Install in a later step of the same job (`id` is the id of the publishing step):",
        "",
        "```sh",
        f"pip install ${{{{ steps.id.outputs.extra-index-url }}}} {pins}",
        "```",
        "",
        f"Elsewhere, with your own token: `{report.repository.index_url}`",
        "",
        _CONFUSION,
        "",
    ]


def as_json(report: "Report | Failure") -> str:
    """Return what `--json` writes: the whole report without its secret, or the failure."""
    if isinstance(report, Failure):
        return json.dumps({"failure": failure_as_json(report)}, indent=2) + "\n"
    public: dict[str, Any] = {name: text for name, text in report.outputs().items() if name != "extra-index-url"}
    public |= {
        "packages": report.packages,
        "published": report.published,
        "repository": str(report.repository),
        "dry-run": report.dry_run,
        "verified": report.verified,
        "warnings": list(report.warnings),
        "rehearsals": [each.as_json() for each in report.rehearsals],
        **({"promoted-from": report.promoted_from} if report.promoted_from else {}),
        "evidence": [
            {
                "kind": each.evidence.kind,
                "name": each.name,
                "version": each.version,
                "path": each.path,
                "sha256": each.evidence.sha256,
                "attachment": each.attachment,
            }
            for each in report.evidence
        ],
    }
    if report.failure:
        public["failure"] = failure_as_json(report.failure)
        failed = [
            *(("project", each.label, each.failure) for each in report.not_built),
            *(("filename", each.distribution.filename, each.failure) for each in report.files),
            *(("filename", each.evidence.filename, each.failure) for each in report.evidence),
        ]
        public["failures"] = [{kind: name, **failure_as_json(failure)} for kind, name, failure in failed if failure]
    return json.dumps(public, indent=2) + "\n"


def failure_as_markdown(failure: Failure) -> str:
    """Return a failure for the step summary: what happened as the heading, the rest as a block."""
    fence = "````"
    return (
        f"### {_escaped(failure.what)}\n\n{fence}text\n{printable(failure.explanation).replace(fence, '')}\n{fence}\n"
    )


def _said(rehearsal: "Rehearsal") -> list[str]:
    """Return what a rehearsal has to say, as one text at most."""
    return ["; ".join(found)] if (found := [*rehearsal.problems, *rehearsal.warnings, *rehearsal.notes]) else []


def _in_table(text: str) -> str:
    return _escaped(text).replace("|", "&#124;").replace("`", "&#96;")


def _escaped(text: str) -> str:
    return html.escape(printable(" ".join(text.split())), quote=False).replace("[", "&#91;")


def failure_as_json(failure: Failure) -> dict[str, Any]:
    return {
        "what": failure.what,
        "cause": failure.cause,
        "fix": failure.fix,
        "detail": failure.detail,
        "docs": failure.docs,
        "exit-code": failure.exit_code,
    }
