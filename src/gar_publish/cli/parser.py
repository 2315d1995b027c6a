"""The command line: which options each command has, and what they say."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from gar_publish import __version__
from gar_publish.cli.bootstrap_options import add_options as add_bootstrap_options
from gar_publish.cli.configure_options import add_options as add_configure_options
from gar_publish.errors import BadInput
from gar_publish.settings.inputs import (
    CHANGED_SINCE_OPTION,
    CREDENTIAL_INPUTS,
    DELIVERY_INPUTS,
    INDEX_TOKEN_INPUT,
    INPUTS,
    JSON_KEY_OPTION,
    PACKAGES_INPUT,
    PROMOTION_INPUTS,
    PUBLISH_INPUTS,
    REPOSITORY_INPUTS,
    Input,
)


def new_parser() -> argparse.ArgumentParser:
    """What reads a command line; the option `command` is the command's name."""
    parser = argparse.ArgumentParser(
        prog="gar-publish",
        description="Publish Python packages to Google Artifact Registry in one step, and install them with one line.",
    )
    parser.add_argument("--version", action="version", version=f"gar-publish {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    command = commands.add_parser("publish", help="build and publish")
    _add_folders(command)
    _add_json(command)
    _add_inputs(
        command, (*REPOSITORY_INPUTS, *CREDENTIAL_INPUTS, JSON_KEY_OPTION, *PUBLISH_INPUTS, CHANGED_SINCE_OPTION)
    )

    command = commands.add_parser("promote", help="copy versions from one repository to another, byte for byte")
    command.add_argument("packages", nargs="+", metavar="NAME==VERSION", help="what to promote")
    _add_json(command)
    source, with_dependencies = PROMOTION_INPUTS
    command.add_argument(
        "--from", dest=source.name, required=True, metavar="REPOSITORY", help="the repository that has them"
    )
    _add_inputs(command, (*REPOSITORY_INPUTS, *CREDENTIAL_INPUTS, with_dependencies, *DELIVERY_INPUTS))

    command = commands.add_parser("plan", help="print what would be published, as JSON for a workflow's matrix")
    _add_folders(command)
    _add_inputs(command, (PACKAGES_INPUT, CHANGED_SINCE_OPTION))

    command = commands.add_parser("index-url", help="print the line that lets pip and uv install from the repository")
    _add_logins(command, default="token")
    _add_inputs(command, (*REPOSITORY_INPUTS, *CREDENTIAL_INPUTS, INDEX_TOKEN_INPUT))

    command = commands.add_parser("configure", help="write the settings of pip, uv, Poetry, PDM, twine or Docker")
    add_configure_options(command)
    _add_logins(command, default="keyring")
    _add_inputs(command, (*REPOSITORY_INPUTS, *CREDENTIAL_INPUTS))

    command = commands.add_parser("doctor", help="find the broken link between this machine and the repository")
    command.add_argument("--json", metavar="FILE", help="write what was found as JSON (- for standard output)")
    _add_inputs(command, (*REPOSITORY_INPUTS, *CREDENTIAL_INPUTS))

    command = commands.add_parser("bootstrap", help="print the commands that set up the Google side, once")
    add_bootstrap_options(command)
    _add_inputs(command, REPOSITORY_INPUTS)

    command = commands.add_parser("emulator", help="run a local Artifact Registry")
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    command.add_argument("--port", type=_port, default=8085, help="port to listen on, 0 = any free one (default: 8085)")
    command.add_argument("--data", type=Path, default=Path(".gar-publish"), help="folder that keeps the state")
    command.add_argument("--world", type=Path, help="a world file (TOML) instead of the default world")
    command.add_argument(
        "--tls", action="store_true", help="serve every Google host name over TLS, with a CA of its own"
    )

    commands.add_parser("demo", help="publish and install an example against an emulator")
    return parser


def _add_folders(command: argparse.ArgumentParser) -> None:
    command.add_argument("folders", nargs="*", metavar="FOLDER", help="project folders or globs (default: .)")


def _add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", metavar="FILE", help="write the report as JSON (- for standard output)")


def _add_logins(command: argparse.ArgumentParser, *, default: str) -> None:
    logins = command.add_mutually_exclusive_group()
    for name, meaning in (
        ("token", "a fresh token, read-only where that can be had"),
        ("keyring", "no secret: the tool asks keyrings.google-artifactregistry-auth"),
    ):
        help_ = f"{meaning} (default)" if name == default else meaning
        logins.add_argument(f"--{name}", dest="login", action="store_const", const=name, default=default, help=help_)
    _add_inputs(logins, [JSON_KEY_OPTION])


def _add_inputs(command: argparse._ActionsContainer, inputs: Sequence[Input]) -> None:
    for each in inputs:
        help_ = f"{each.help} (default: {each.default})" if each.default else each.help
        if each.kind == "flag":
            command.add_argument(
                f"--{each.name}",
                dest=each.name,
                action=argparse.BooleanOptionalAction,
                default=None,
                help=help_,
            )
        elif each.kind == "lines":
            command.add_argument(f"--{each.name}", dest=each.name, action="append", default=[], help=help_)
        elif each.kind == "secret":
            command.add_argument(f"--{each.name}", dest=each.name, metavar="FILE", help=f"{help_}: a file, or -")
        else:
            command.add_argument(f"--{each.name}", dest=each.name, help=help_)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) >= 1 << 16:
        raise argparse.ArgumentTypeError(f"{text} is not a port from 0 to 65535")
    return int(text)


def read_inputs(options: Mapping[str, Any], stdin: TextIO) -> dict[str, str]:
    """The options as inputs. A secret is never on the command line: its option names a file, or - for input.

    Raises:
        BadInput: A secret cannot be read, or options contradict each other.
    """
    inputs = {}
    for each in (*INPUTS, JSON_KEY_OPTION, CHANGED_SINCE_OPTION):
        value = options.get(each.name)
        if value in (None, []):
            continue
        if isinstance(value, bool):
            inputs[each.name] = "true" if value else "false"
        elif isinstance(value, list):
            inputs[each.name] = "\n".join(value)
        else:
            inputs[each.name] = _read_secret(each, str(value), stdin) if each.kind == "secret" else str(value)
    folders = options.get("folders")
    if isinstance(folders, list) and folders:
        if inputs.get("dist"):
            raise BadInput(
                f"Both a project ({folders[0]}) and `--dist` are given; with `--dist` nothing is built.",
                fix="leave one of them out",
                anchor="dist-or-packages",
            )
        inputs["packages"] = "\n".join(folders)
    return inputs


def _read_secret(secret: Input, file: str, stdin: TextIO) -> str:
    try:
        text = stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
    except (OSError, ValueError):
        raise BadInput(
            f"`--{secret.name}` takes a file that can be read, or - for standard input.",
            cause="a secret on a command line can be seen by every user of the machine, so it is not taken there",
            fix=f"gcloud auth print-access-token | gar-publish … --{secret.name} -"
            if secret.name == "access-token"
            else f"gar-publish … --{secret.name} key.json",
            anchor="secret-files",
        ) from None
    if not text.strip():
        raise BadInput(
            f"`--{secret.name}` is empty: nothing is in {'standard input' if file == '-' else file}.",
            cause="the command before the pipe failed, or the file was never written",
            fix="run that command alone, and see what it says",
            anchor="secret-files",
        )
    return text
