"""What `gar-publish configure` can be asked for; nothing else is imported, so that `--help` is quick."""

import argparse
import re
from pathlib import Path

_SECTIONS = {"default", "distutils"}
"""What these sections of a .pypirc hold is no repository."""

TOOL_NAMES = ("pip", "uv", "poetry", "pdm", "twine", "docker")


def add_options(command: argparse.ArgumentParser) -> None:
    """The options that this command has alone."""
    command.add_argument("tool", choices=TOOL_NAMES, help="whose settings to write")
    command.add_argument("--name", type=_name, help="what the tool is to call the repository")
    command.add_argument("--only", action="store_true", help="look nowhere else, PyPI included (virtual repositories)")
    command.add_argument(
        "--user", action="store_true", help="for everything you do, rather than for one project (uv, PDM)"
    )
    command.add_argument(
        "--folder", type=Path, default=Path(), help="the project of uv, Poetry or PDM (default: this folder)"
    )
    command.add_argument("--dry-run", dest="preview", action="store_true", help="show the changes, and make none")


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?", text) or text.lower() in _SECTIONS:
        raise argparse.ArgumentTypeError(f"{text} cannot be the name: letters, digits, - and _ only")
    return text
