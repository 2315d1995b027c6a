"""The command line: the options of each command, and how they become inputs."""

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

from gar_publish import __version__
from gar_publish.cli.bootstrap_options import add_options as add_bootstrap_options
from gar_publish.cli.configure_options import add_options as add_configure_options
from gar_publish.cli.suggestions import Parser
from gar_publish.cli.terminal import as_options
from gar_publish.errors import BadInput
from gar_publish.settings.inputs import Input
from gar_publish.settings.settings import (
    CHANGED_SINCE,
    CREDENTIAL_INPUTS,
    DELIVERY_INPUTS,
    DRY_RUN,
    FILE_HOSTS,
    INDEX_TOKEN,
    JSON_KEY,
    OPTIONS,
    OUTDIR,
    PROMOTION_INPUTS,
    PUBLISH_INPUTS,
    REPOSITORY_INPUTS,
)

_WHERE_AND_WHO = (*REPOSITORY_INPUTS, *CREDENTIAL_INPUTS)
_BUILD_OPTIONS = ("packages", "formats", "build-env", "expected-version", "jobs", "summary")


def new_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; its option `command` is the name of the command."""
    parser = Parser(
        prog="gar-publish",
        description="Publish Python packages to Google Artifact Registry in one step, and install them with one line.",
    )
    parser.add_argument("-V", "--version", action="version", version=f"gar-publish {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    parser.commands = commands.choices

    command = commands.add_parser("publish", help="build and publish")
    _add_folders(command)
    _add_json(command, "the report")
    _add_inputs(command, (*_WHERE_AND_WHO, JSON_KEY, *PUBLISH_INPUTS, CHANGED_SINCE))

    command = commands.add_parser("promote", help="copy versions from one repository to another, byte for byte")
    command.add_argument("packages", nargs="+", metavar="NAME==VERSION", help="the versions to promote")
    _add_json(command, "the report")
    source, with_dependencies = PROMOTION_INPUTS
    command.add_argument(
        "--from", dest=source.name, required=True, metavar="REPOSITORY", help="the repository that has the versions"
    )
    _add_inputs(command, (*_WHERE_AND_WHO, with_dependencies, *DELIVERY_INPUTS))

    command = commands.add_parser("build", help="build and check without an identity, and upload nothing")
    command.set_defaults(**{DRY_RUN.name: "build"})
    _add_folders(command)
    _add_json(command, "the report")
    _add_inputs(command, (*(OPTIONS[name] for name in _BUILD_OPTIONS), CHANGED_SINCE, OUTDIR))

    command = commands.add_parser("plan", help="print what would be published, as JSON for the matrix of a workflow")
    _add_folders(command)
    _add_inputs(command, (OPTIONS["packages"], CHANGED_SINCE))

    command = commands.add_parser("index-url", help="print the option that makes pip and uv install from it")
    command.add_argument("--bare", action="store_true", help="print the URL alone, without an option in front of it")
    _add_logins(command, default="token")
    _add_inputs(command, (*_WHERE_AND_WHO, INDEX_TOKEN))

    command = commands.add_parser("run", help="run a command that can install from it")
    command.add_argument("program", nargs="+", metavar="COMMAND", help="the command and its arguments, after --")
    _add_inputs(command, (*_WHERE_AND_WHO, JSON_KEY))

    command = commands.add_parser(
        "configure", help="write the settings of pip, uv, Poetry, PDM, twine or Docker, or a netrc"
    )
    add_configure_options(command)
    _add_logins(command, default="keyring")
    _add_inputs(command, _WHERE_AND_WHO)

    command = commands.add_parser("doctor", help="find what is broken between this machine and the repository")
    _add_json(command, "the findings")
    _add_inputs(command, _WHERE_AND_WHO)

    command = commands.add_parser("bootstrap", help="print the commands that set up the Google side, once")
    add_bootstrap_options(command)
    _add_inputs(command, (each for each in REPOSITORY_INPUTS if each != FILE_HOSTS))

    command = commands.add_parser("previews", help="list the previews of pull requests, or delete them")
    command.add_argument("verb", nargs="?", choices=("list", "delete"), default="list", help="(default: list)")
    command.add_argument("whose", nargs="?", metavar="NUMBER", help="of this pull request, or with this label")
    command.add_argument("--older-than", metavar="DAYS", help="created earlier: 30d is a month")
    _add_inputs(command, _WHERE_AND_WHO)

    command = commands.add_parser("emulator", help="run a local Artifact Registry")
    _add_emulator(command)

    commands.add_parser("demo", help="publish an example to an emulator, and install it from there")
    return parser


def _add_emulator(command: argparse.ArgumentParser) -> None:
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    command.add_argument("--port", type=_port, default=8085, help="port to listen on, 0 = any free one (default: 8085)")
    command.add_argument(
        "--data", type=Path, default=Path(".gar-emulator"), help="folder for the state (default: .gar-emulator)"
    )
    command.add_argument("--world", type=Path, help="a world file (TOML) instead of the default world")
    command.add_argument(
        "--tls", action="store_true", help="serve every Google host name over TLS, with a CA of its own"
    )


def _add_folders(command: argparse.ArgumentParser) -> None:
    command.add_argument("folders", nargs="*", metavar="FOLDER", help="project folders or globs (default: .)")


def _add_json(command: argparse.ArgumentParser, what: str) -> None:
    command.add_argument("--json", metavar="FILE", help=f"write {what} as JSON (- for standard output)")


def _add_logins(command: argparse.ArgumentParser, *, default: str) -> None:
    logins = command.add_mutually_exclusive_group()
    for name, meaning in (
        ("token", "a fresh token, read-only where possible"),
        ("keyring", "no secret: the tool asks keyrings.google-artifactregistry-auth"),
    ):
        help_ = f"{meaning} (default)" if name == default else meaning
        logins.add_argument(f"--{name}", dest="login", action="store_const", const=name, default=default, help=help_)
    _add_inputs(logins, [JSON_KEY])


def _add_inputs(command: argparse._ActionsContainer, inputs: Iterable[Input]) -> None:
    for each in inputs:
        how: dict[str, Any] = {}
        help_ = as_options(each.help)
        if each.kind == "flag":
            how = {"action": argparse.BooleanOptionalAction, "default": None}
        elif each.kind == "lines":
            how = {"action": "append", "default": []}
            help_ = help_.replace(", one per line", "") + " May be repeated."
        elif each.kind == "secret":
            how = {"metavar": "FILE"}
            help_ += " A file, or - for standard input."
        if each.default:
            help_ += f" (default: {each.default})"
        command.add_argument(f"--{each.name}", dest=each.name, help=help_, **how)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) >= 1 << 16:
        raise argparse.ArgumentTypeError(f"{text} is not a port from 0 to 65535")
    return int(text)


def read_inputs(options: Mapping[str, Any], stdin: TextIO) -> dict[str, str]:
    """Return the options as inputs. The option of a secret names a file, or - for standard input.

    Raises:
        BadInput: A secret cannot be read, or options contradict each other.
    """
    inputs = {}
    for each in OPTIONS.values():
        value = options.get(each.name)
        if value in (None, []):
            continue
        if isinstance(value, bool):
            inputs[each.name] = str(value).lower()
        elif isinstance(value, list):
            inputs[each.name] = "\n".join(value)
        else:
            inputs[each.name] = _read_secret(each.name, value, stdin) if each.kind == "secret" else value
    if folders := options.get("folders"):
        if inputs.get("dist"):
            raise BadInput(
                f"A project ({folders[0]}) and `dist` cannot be combined: with `dist`, nothing is built.",
                fix="remove one of the two",
                anchor="dist-or-packages",
            )
        inputs["packages"] = "\n".join(folders)
    return inputs


def _read_secret(name: str, file: str, stdin: TextIO) -> str:
    try:
        text = stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8-sig")
    except (OSError, ValueError):
        raise BadInput(
            f"`--{name}` takes the name of a readable file, or - for standard input.",
            cause="the file does not exist, or the secret itself was given, which every user of the machine could see",
            fix=f"gcloud auth print-access-token | gar-publish … --{name} -"
            if name == "access-token"
            else f"gar-publish … --{name} key.json",
            anchor="secret-files",
        ) from None
    if not text.strip():
        raise BadInput(
            f"`--{name}` is empty: nothing is in {'standard input' if file == '-' else file}.",
            cause="the command before the pipe failed, or the file was never written",
            fix="run that command on its own, and read what it prints",
            anchor="secret-files",
        )
    return text
