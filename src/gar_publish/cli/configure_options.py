"""The options of `gar-publish configure`."""

import argparse
from pathlib import Path

from gar_publish.settings.inputs import INDEX_NAME

_SECTIONS = {"default", "distutils"}
"""Sections of a .pypirc that are not repositories."""

TOOL_NAMES = ("pip", "uv", "poetry", "pdm", "twine", "docker", "netrc")


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options that only this command has."""
    command.add_argument("tool", choices=TOOL_NAMES, help="the tool to configure")
    command.add_argument("--name", type=_name, help="the name of the repository in the settings")
    command.add_argument(
        "--only",
        action="store_true",
        help="make the repository the only index, without PyPI (for a virtual repository)",
    )
    command.add_argument("--user", action="store_true", help="for all your projects instead of one (uv, PDM)")
    command.add_argument(
        "--folder", type=Path, default=Path(), help="the project of uv, Poetry or PDM (default: the current folder)"
    )
    command.add_argument(
        "--dry-run", dest="preview", action="store_true", help="show the changes, without secrets, and write nothing"
    )


def _name(text: str) -> str:
    if not INDEX_NAME.fullmatch(text) or text.lower() in _SECTIONS:
        raise argparse.ArgumentTypeError(f"{text} is not a name: use letters, digits, - and _")
    return text
