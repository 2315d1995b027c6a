"""A report, or the failure of a run without one, as text for the log, Markdown for the step summary, and JSON."""

import html
import json
import re
import textwrap
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Any

from gar_publish.console import human_size, printable
from gar_publish.errors import CONFUSION_DOCS, Failure
from gar_publish.settings.index_url import requirements_hashed

if TYPE_CHECKING:
    from gar_publish.rehearsal.outcome import Rehearsal
    from gar_publish.report.report import Report

_VERIFIED = "Every file was read back from the index, and its SHA-256 is the one above."
_UNKNOWN = "`unknown`: the upload had no answer when the run was cancelled. Run the same command again to find out."
_NO_IDENTITY = "No identity was used: nothing was compared with a registry, and nothing was uploaded."
_HASHES = (
    f"The hashes keep out [public packages of the same name]({CONFUSION_DOCS}). `--no-deps` leaves out what this run "
    f"did not publish; a [lock]({CONFUSION_DOCS}#safe-hashed-pins) has it, with hashes."
)
_INSTALL = "pip install --no-deps --require-hashes -r requirements.txt"
_LATER_STEP = f"""\
- env:
    OPTION: ${{{{ steps.ID.outputs.extra-index-url }}}}
    REQUIREMENTS: ${{{{ steps.ID.outputs.requirements-hashed }}}}
  run: |
    echo "$REQUIREMENTS" >requirements.txt
    {_INSTALL} $OPTION"""
_MEANS_MORE = re.compile(r"[\\`*~\[]|(?<![^\W_])_|_(?![^\W_])")
"""What has a meaning in Markdown; an underscore has none inside of a word."""
_STEP = re.compile(r"(?!__)[A-Za-z_][A-Za-z0-9_-]*")
"""The id of a step. Without one, GITHUB_ACTION is a name that begins with two underscores, or a number under act."""


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
    if report.lock:
        lines.append(f"lock  {report.lock}")
    lines += _preview_commands(report)
    return "\n".join(lines)


def as_markdown(report: "Report | Failure", step: str | None = None) -> str:
    """Return the step summary of a run: the verdict and how to fix it, then the files, then how to install them.

    Args:
        report: The outcome.
        step: The value of GITHUB_ACTION; None if no later step can use the outputs.
    """
    if isinstance(report, Failure):
        return failure_as_markdown(report)
    parts = [f"### {_title(report)}", ""]
    for failure in report.failures:
        parts += [failure_as_markdown(failure, heading="####"), ""]
    files = [
        f"| {_linked(report, each['name'])} | {each['version']} "
        f"| {': '.join([file['status'], *([file['why']] if 'why' in file else [])])} "
        f"| `{file['filename']}` | {_size(file['size'])} | `{file['sha256']}` |"
        for each in report.packages
        for file in each["files"]
    ]
    parts += _table("| package | version | status | file | size | SHA-256 |", files)
    evidence = [
        f"| {each.name} | {each.version} | {each.state} | `{each.evidence.filename}` | `{each.evidence.sha256}` |"
        for each in report.evidence
    ]
    parts += _table("| package | version | status | evidence | SHA-256 |", evidence)
    rehearsals = [
        f"| {each.name} | {each.version} | {each.title} | {': '.join([each.state, *map(_in_table, _said(each))])} |"
        for each in report.rehearsals
    ]
    parts += _table("| package | version | rehearsed with | outcome |", rehearsals)
    if report.has_unknown:
        parts += [_UNKNOWN, ""]
    if report.warnings:
        parts += [*(f"- Warning: {as_inline(each)}" for each in report.warnings), ""]
    if report.verified:
        parts += [_VERIFIED, ""]
    if not report.repository:
        parts += [_NO_IDENTITY, ""]
    if report.pins and not report.dry_run and not report.failure:
        parts += _how_to_install(report, step)
    return "\n".join(parts)


def _title(report: "Report") -> str:
    source = f", from `{report.promoted_from}`" if report.promoted_from else ""
    what = f" the preview `{report.preview}`" if report.preview else ""
    if not report.repository:
        return "Not all could be built" if report.failure else "Built and checked"
    if report.failure:
        did = f"Did not finish publishing{what} to"
    elif not report.files:
        did = "Nothing to publish to"
    else:
        did = f"Would publish{what} to" if report.dry_run else f"Published{what} to"
    return f"{did} `{report.repository}`{source}"


def _linked(report: "Report", name: str) -> str:
    """Return a package as a link to its page in Google's console, which lists its versions."""
    url = report.repository.console_url(name) if report.repository and not report.dry_run else None
    return f"[{name}]({url})" if url else name


def _size(size: int | None) -> str:
    return human_size(size).replace(" ", "&nbsp;")


def _table(header: str, rows: list[str]) -> list[str]:
    return [header, "|" + " --- |" * (header.count("|") - 1), *rows, ""] if rows else []


def _preview_commands(report: "Report") -> list[str]:
    return [command for command in (report.preview_install("pip"), report.preview_install("uv")) if command]


def _how_to_install(report: "Report", step: str | None) -> list[str]:
    """Return the two ways: the install option in a later step, and `gar-publish run` elsewhere."""
    parts, where = ["#### Install", ""], "With a login of your own:"
    if commands := _preview_commands(report):
        return [*parts, where, "", *(line for command in commands for line in (*_block(command, "sh"), ""))]
    if report.index_token and step is not None:
        id_ = step if _STEP.fullmatch(step) else "ID_OF_THE_STEP"
        parts += ["In a later step of this job:", "", *_block(_LATER_STEP.replace("ID", id_), "yaml"), ""]
        where = "Elsewhere, with a login of your own:"
    command = (
        f"cat >requirements.txt <<'END'\n{requirements_hashed(report.pins)}\nEND\n"
        f"gar-publish run --repository {report.repository} -- {_INSTALL}"
    )
    return [*parts, where, "", *_block(command, "sh"), "", _HASHES, ""]


def _block(text: str, language: str = "") -> list[str]:
    """Return a code block, which GitHub shows with a button to copy it."""
    fence = "`" * max(3, *(1 + len(each) for each in re.findall("`*", text)))
    return [fence + language, text, fence]


def as_json(report: "Report | Failure") -> str:
    """Return what `--json` writes: the whole report without its secret, or the failure."""
    if isinstance(report, Failure):
        return json.dumps({"failure": failure_as_json(report)}, indent=2) + "\n"
    public: dict[str, Any] = {name: text for name, text in report.outputs().items() if name != "extra-index-url"}
    public |= {
        "packages": report.packages,
        "published": report.published,
        "repository": str(report.repository) if report.repository else None,
        "dry-run": report.dry_run,
        "verified": report.verified,
        "warnings": list(report.warnings),
        "rehearsals": [asdict(each) for each in report.rehearsals],
        **({"promoted-from": report.promoted_from} if report.promoted_from else {}),
        **({"preview": report.preview} if report.preview else {}),
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


def failure_as_markdown(failure: Failure, heading: str = "###") -> str:
    """Return a failure for the step summary: what happened as the heading, then the fix, the cause, and the rest."""
    parts = [f"{heading} {as_inline(failure.what)}"]
    if failure.fix:
        parts += ["", *_fix(failure.fix)]
    if failure.cause:
        parts += ["", f"**Likely cause:** {as_inline(failure.cause)}"]
    if failure.detail:
        parts += ["", *_block(printable(textwrap.dedent(failure.detail).strip("\n")))]
    return "\n".join([*parts, "", f"[More about this]({failure.docs})", ""])


def _fix(fix: str) -> list[str]:
    """Return a fix as text, with its indented lines, which are commands or parts of a file, as blocks."""
    parts: list[str] = []
    for indented, lines in groupby(fix.splitlines(), key=lambda line: line.startswith("  ")):
        text = "\n".join(lines)
        parts += ["", *_block(printable(textwrap.dedent(text)))] if indented else [as_inline(text)]
    return [f"**Fix:** {parts[0]}", *parts[1:]]


def as_inline(text: str) -> str:
    """Return plain text as Markdown on one line. What is in backticks stays code; nothing else has a meaning.

    GitHub makes URLs links.
    """
    parts = re.split(r"(`[^`]+`)", printable(" ".join(text.split())))
    return "".join(part if number % 2 else _escaped(part) for number, part in enumerate(parts))


def _escaped(text: str) -> str:
    return _MEANS_MORE.sub(lambda found: f"&#{ord(found[0])};", html.escape(text, quote=False))


def _said(rehearsal: "Rehearsal") -> list[str]:
    """Return what a rehearsal has to say, as one text at most."""
    return ["; ".join(found)] if (found := [*rehearsal.problems, *rehearsal.warnings, *rehearsal.notes]) else []


def _in_table(text: str) -> str:
    return _escaped(printable(" ".join(text.split()))).replace("|", "&#124;").replace("`", "&#96;")


def failure_as_json(failure: Failure) -> dict[str, Any]:
    return {
        "what": failure.what,
        "cause": failure.cause,
        "fix": failure.fix,
        "detail": failure.detail,
        "docs": failure.docs,
        "exit-code": failure.exit_code,
    }
