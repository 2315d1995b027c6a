"""The comment on a pull request that says how to install its preview."""

from gar_publish.report.report import Report

_LONGEST = 65_000
"""GitHub takes 65,536 characters."""


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
    return f"{lines[0]}\nIt has {len(rows)} packages: too many commands for a comment. They are in the summary of the run.\n"
