"""The files that CI systems read: the step summary of GitHub Actions, and the step output of Cloud Build.

See https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#adding-a-job-summary
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from gar_publish.console import Console

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"

BUILDER_OUTPUT = "BUILDER_OUTPUT"
"""The variable with the folder whose file `output` Cloud Build keeps; only Cloud Build sets it."""

SUMMARY_LIMIT = 1024 * 1024
OUTPUT_LIMIT = 4096
"""Bytes of `output` that Cloud Build keeps: 4 KB or 50 KB, depending on the edition of Google's reference."""


def add_step_summary(markdown: str, environment: Mapping[str, str], console: Console) -> None:
    """Append to the step summary, if there is one. The runner drops a summary of more than 1,024 KiB."""
    path = environment.get(STEP_SUMMARY)
    if not path:
        return
    added = f"{markdown}\n".encode()
    try:
        with Path(path).open("ab") as file:
            if os.fstat(file.fileno()).st_size + len(added) <= SUMMARY_LIMIT:  # a pipe has no end to tell
                file.write(added)
            else:
                console.warning("The step summary is not complete: it would exceed the runner's limit of 1,024 KiB.")
    except OSError as error:
        console.warning(f"The step summary could not be added: cannot write {path} ({error.strerror}).")


def step_output(outputs: Mapping[str, str]) -> str:
    """Return the outputs that are not secret as one JSON object, without the longest ones if it would be too large."""
    public = {name: text for name, text in outputs.items() if name != "extra-index-url"}
    while len(text := json.dumps(public, separators=(",", ":"))) > OUTPUT_LIMIT:
        del public[max(public, key=lambda name: len(public[name]))]
    return text


def write_step_output(outputs: Mapping[str, str], environment: Mapping[str, str], console: Console) -> None:
    """Write the output of a Cloud Build step. A failure is a warning, since the packages are published."""
    if folder := environment.get(BUILDER_OUTPUT):
        file = Path(folder, "output")
        try:
            file.write_text(step_output(outputs), encoding="utf-8")
        except OSError as error:
            console.warning(f"The step outputs could not be set: cannot write {file} ({error.strerror}).")
