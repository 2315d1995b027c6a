"""The step summary of a job: Markdown that is added to the file which the runner names.

See https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#adding-a-job-summary
"""

import json
from collections.abc import Mapping
from pathlib import Path

from gar_publish.console import Console

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"

_LIMIT = 1024 * 1024


def add_step_summary(markdown: str, environment: Mapping[str, str], console: Console) -> None:
    """Add to the summary, if there is one: over 1,024 KiB the runner would drop all of it."""
    path = environment.get(STEP_SUMMARY)
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


BUILDER_OUTPUT = "BUILDER_OUTPUT"
"""Names the folder whose file `output` Cloud Build keeps; nothing else sets it."""

LIMIT = 4096
"""Bytes of that file that are kept: 4 KB or 50 KB, depending on the edition of Google's reference."""


def step_output(outputs: Mapping[str, str]) -> str:
    """The outputs that are no secret, as one JSON object that fits: the longest are left out where it would not."""
    public = {name: text for name, text in outputs.items() if name != "extra-index-url"}
    while len(text := json.dumps(public, separators=(",", ":"))) > LIMIT:
        del public[max(public, key=lambda name: len(public[name]))]
    return text


def write_step_output(outputs: Mapping[str, str], environment: Mapping[str, str], console: Console) -> None:
    """Hand the outputs on, in a step of Cloud Build. Where that fails, what was published is published all the same."""
    if folder := environment.get(BUILDER_OUTPUT):
        file = Path(folder, "output")
        try:
            file.write_text(step_output(outputs), encoding="utf-8")
        except OSError as error:
            console.warning(f"The step has no output: {file} cannot be written ({error.strerror}).")
