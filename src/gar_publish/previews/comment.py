"""The comment on a pull request that says how to install its preview."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gar_publish.context import Context
from gar_publish.previews.github import GitHub
from gar_publish.previews.origin import read_event
from gar_publish.report.report import Report
from gar_publish.transport.session import new_session

_LONGEST = 65_000
"""GitHub takes 65,536 characters."""


def write(report: Report, token: str, context: Context) -> None:
    """Write the comment, or edit the one of the last push. A preview of a branch has none.

    Args:
        report: The report of a run.
        token: A token of GitHub.
        context: Where the run happens.

    Raises:
        Failure: See `GitHub.comment`.
    """
    found = re.fullmatch(r"pr([0-9]+)", report.preview)
    if not found or not report.preview_install("pip"):
        return
    context = replace(context, retry_policy=context.retry_policy.for_doctor())  # everything is published already
    github = GitHub(token, context, new_session(context.retry_policy))
    github.comment(int(found[1]), marker_of(report), text_of(report, head_of(read_event(context.environment))))


def head_of(event: Mapping[str, Any]) -> str:
    """Return the newest commit of the pull request, which GITHUB_SHA is not."""
    run, pull_request = event.get("workflow_run"), event.get("pull_request")
    return str(run["head_sha"] if run else pull_request["head"]["sha"] if pull_request else "")


def marker_of(report: Report) -> str:
    """Return the hidden line by which the comment is found again. Each repository for previews has its own comment."""
    return f"<!-- gar-publish preview {report.repository} -->"


def text_of(report: Report, commit: str) -> str:
    """Return the comment, in Markdown: packages, commands, commit, and when it goes.

    Args:
        report: The report of a published preview.
        commit: The hash of the newest commit of the pull request.
    """
    rows = [f"| {each['name']} | `{each['version']}` |" for each in report.packages]
    table = ["| package | version |", "| --- | --- |", *rows, ""]
    commands = [f"```sh\n{report.preview_install(tool)}\n```\n" for tool in ("pip", "uv")]
    lines = [
        f"**Preview of {commit}**\n",
        "Install it with pip or with uv, and a login for the repository:\n",
        *commands,
        "It is deleted when this pull request is closed.",
    ]
    for parts in ([*lines[:1], *table, *lines[1:]], lines):
        if len(text := "\n".join(parts)) <= _LONGEST:
            return text
    return f"{lines[0]}\nIt has {len(rows)} packages. Their commands are in the summary of the run."
