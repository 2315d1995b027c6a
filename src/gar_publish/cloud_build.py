"""What a step of Google Cloud Build hands on: its output, which stays with the build's record.

See https://cloud.google.com/build/docs/api/reference/rest/v1/projects.builds#Build.Results
"""

import json
from collections.abc import Mapping
from pathlib import Path

from gar_publish.console import Console

VARIABLE = "BUILDER_OUTPUT"
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
    if folder := environment.get(VARIABLE):
        file = Path(folder, "output")
        try:
            file.write_text(step_output(outputs), encoding="utf-8")
        except OSError as error:
            console.warning(f"The step has no output: {file} cannot be written ({error.strerror}).")
