"""The step summary of a job: Markdown that is added to the file which the runner names.

See https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#adding-a-job-summary
"""

from collections.abc import Mapping
from pathlib import Path

from gar_publish.console import Console

VARIABLE = "GITHUB_STEP_SUMMARY"

_LIMIT = 1024 * 1024


def add(markdown: str, environment: Mapping[str, str], console: Console) -> None:
    """Add to the summary, if there is one: over 1,024 KiB the runner would drop all of it."""
    path = environment.get(VARIABLE)
    if not path:
        return
    if len(markdown.encode()) >= _LIMIT:
        console.warning("There is no summary: it would be longer than the runner takes.")
        return
    try:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"{markdown}\n")
    except OSError as error:  # what was published is published all the same
        console.warning(f"There is no summary: {path} cannot be written ({error.strerror}).")
