"""What a step of Google Cloud Build hands on: its output, which stays with the build's record.

See https://cloud.google.com/build/docs/api/reference/rest/v1/projects.builds#Build.Results
"""

import json
from collections.abc import Mapping

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
