"""Find out which readmes render as reStructuredText, by the rule of `twine check`."""

import email.message
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twine.package import PackageFile

_NEVER_RENDERED = {"text/plain", "text/markdown"}
_SCRIPT = Path(__file__).with_name("render_readmes.py")
_SECONDS = 5


def in_rst(package: "PackageFile") -> str:
    """Return the readme of a distribution, or nothing if it is not to be rendered as reStructuredText."""
    readme = (package.metadata.get("description") or "").rstrip()
    content = email.message.EmailMessage()
    content["content-type"] = package.metadata.get("description_content_type") or "text/x-rst"
    if readme == "UNKNOWN" or content.get_content_type() in _NEVER_RENDERED:
        return ""
    return readme


def problems(readmes: Sequence[str]) -> list[str]:
    """Return why each of these readmes does not render; nothing for one that does.

    A few lines can take docutils minutes and gigabytes. So a process of its own renders them, and is killed after 5
    seconds. The next one goes on after the last answer: a single process is enough for many usual readmes.
    """
    found: list[str] = []
    while len(found) < len(readmes):
        try:
            output = subprocess.run(
                [sys.executable, "-I", _SCRIPT, str(_SECONDS)],
                input=json.dumps(readmes[len(found) :]).encode(),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={name: value for name, value in os.environ.items() if name == "SYSTEMROOT"},  # Windows needs it
                timeout=_SECONDS,
                check=False,
            ).stdout
            reason = "docutils failed"
        except subprocess.TimeoutExpired as late:
            output = late.stdout or b""
            reason = f"docutils takes more than {_SECONDS} seconds"
        answers = [json.loads(line) for line in output.split(b"\n")[:-1]]
        found += answers or [reason]
    return found
