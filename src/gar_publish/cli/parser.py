"""The command line: the options of each command, and how they become inputs."""

import argparse
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TextIO

from gar_publish import __version__
from gar_publish.cli.bootstrap_options import add_options as add_bootstrap_options
from gar_publish.cli.completion import SHELLS
from gar_publish.cli.configure_options import add_options as add_configure_options
from gar_publish.cli.defaults import REPOSITORY_VARIABLE, TABLE, read_defaults
from gar_publish.cli.suggestions import Parser
from gar_publish.cli.terminal import as_options
from gar_publish.errors import BadInput
from gar_publish.projects.shards import MOST
from gar_publish.settings.inputs import NOT_GIVEN, Input
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
    beside_dist,
)

_DEFAULTS = f"Or set {REPOSITORY_VARIABLE}, or `repository` in {TABLE} of pyproject.toml."
_Add = Callable[..., argparse.ArgumentParser]
_HERE = "--repository us-central1/my-project/python"
_BUILD_OPTIONS = ("packages", "formats", "build-env", "expected-version", "jobs", "summary")


def new_parser() -> Parser:
    """Return the parser of the command line; its option `command` is the name of the command."""
    parser = Parser(
        prog="gar-publish",
        description="Publish Python packages to Google Artifact Registry in one step, and install them with one line.",
        epilog=f"example:\n  gar-publish publish {_HERE}\n\nEach command has more: gar-publish COMMAND --help",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-V", "--version", action="version", version=f"gar-publish {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    parser.commands = commands.choices

    def add(name: str, help_: str, *examples: str) -> argparse.ArgumentParser:
        parser.helps[name] = help_
        return commands.add_parser(
            name,
            help=help_,
            description=f"{help_[0].upper()}{help_[1:]}.",
            epilog="\n  ".join(["example:", *(f"gar-publish {name} {each}".rstrip() for each in examples)]),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    _add_publishing(add)
    _add_installing(add)
    _add_others(add)
    return parser


def _add_publishing(add: _Add) -> None:
    for name, left_out, help_, example in (
        ("publish", (), "build and publish", f"packages/hello 'libs/*' {_HERE} --dry-run"),
        (
            "rehearse",
            ("dry-run", "rehearse"),
            "build, and install and import each wheel; publish nothing",
            f"--rehearse-python 3.11,3.13 {_HERE}",
        ),
    ):
        command = add(name, help_, _HERE, example)
        inputs = [each for each in PUBLISH_INPUTS if each.name not in left_out]
        _add_folders(command)
        _add_repository(command, "the repository to publish to")
        _add_identity(command, "the identity that publishes", JSON_KEY)
        built = [each for each in inputs if each not in DELIVERY_INPUTS]
        _add_inputs(command.add_argument_group("what is built"), [*built, CHANGED_SINCE])
        _add_inputs(command.add_argument_group("how it is published"), [each for each in inputs if each not in built])
        _add_output(command, "the report")
        _add_amount(command)

    command = add("build", "build and check without an identity, and upload nothing", "", "'libs/*' --outdir dist")
    command.set_defaults(**{DRY_RUN.name: "build"})
    _add_folders(command)
    _add_inputs(command, (*(OPTIONS[name] for name in _BUILD_OPTIONS), CHANGED_SINCE, OUTDIR))
    _add_output(command, "the report")
    _add_amount(command)

    command = add(
        "promote",
        "copy versions from one repository to another, byte for byte",
        "hello==1.2.0 --from us-central1/my-project/dev --repository us-central1/my-project/prod",
    )
    command.add_argument("packages", nargs="+", metavar="NAME==VERSION", help="the versions to promote")
    _add_repository(command, "the repository to promote to")
    _add_identity(command, "the identity that reads one repository and publishes to the other")
    source, with_dependencies = PROMOTION_INPUTS
    what = command.add_argument_group("what is promoted")
    what.add_argument(
        "--from", dest=source.name, required=True, metavar="REPOSITORY", help="the repository that has the versions"
    )
    _add_inputs(what, [with_dependencies])
    _add_inputs(command.add_argument_group("how it is published"), DELIVERY_INPUTS)
    _add_output(command, "the report")
    _add_quiet(command)

    command = add(
        "plan",
        "print what would be published, as JSON for the matrix of a workflow",
        "'packages/*' --changed-since v1",
        "'packages/*' --shards 4",
    )
    _add_folders(command)
    _add_inputs(command, (OPTIONS["packages"], CHANGED_SINCE))
    command.add_argument(
        "--shards",
        type=_shards,
        metavar="N",
        help="a job for each of N groups of projects that take about equally long to build; 0 = automatic",
    )


def _add_installing(add: _Add) -> None:
    command = add(
        "index-url", "print the option that makes pip and uv install from a repository", _HERE, f"{_HERE} --keyring"
    )
    command.add_argument("--bare", action="store_true", help="print only the URL, without --extra-index-url")
    _add_repository(command, "the repository to install from")
    _add_identity(command, "the identity that installs")
    login = _add_logins(command, default="token")
    _add_inputs(login, [INDEX_TOKEN])

    command = add("run", "run a command that can install from a repository", f"{_HERE} -- pip install my-package")
    command.add_argument("program", nargs="+", metavar="COMMAND", help="the command and its arguments, after --")
    _add_repository(command, "the repository to install from")
    _add_identity(command, "the identity that installs", JSON_KEY)

    command = add(
        "configure",
        "write the settings of pip, uv, Poetry, PDM, twine or Docker, or a netrc",
        f"pip {_HERE}",
        f"uv {_HERE} --token --dry-run",
    )
    add_configure_options(command)
    _add_repository(command, "the repository that the tool uses")
    _add_identity(command, "the identity of the token, with --token")
    _add_logins(command, default="keyring")


def _add_others(add: _Add) -> None:
    command = add("doctor", "find what is broken between this machine and the repository", _HERE)
    _add_repository(command, "the repository to examine")
    _add_identity(command, "the identity to examine")
    _add_output(command, "the findings")

    command = add(
        "bootstrap",
        "print the commands that set up the Google side, once",
        f"--github OWNER/REPOSITORY {_HERE}",
        f"--github OWNER {_HERE} --terraform",
    )
    add_bootstrap_options(command)
    _add_repository(command, "the repository to set up", [each for each in REPOSITORY_INPUTS if each != FILE_HOSTS])

    command = add("previews", "list the previews of pull requests, or delete them", _HERE, f"delete 42 {_HERE}")
    command.add_argument("verb", nargs="?", choices=("list", "delete"), default="list", help="(default: list)")
    command.add_argument("whose", nargs="?", metavar="NUMBER", help="the pull request, or a label from the list")
    command.add_argument("--older-than", metavar="DAYS", help="only those that are older, such as 30d")
    _add_repository(command, "the repository of previews")
    _add_identity(command, "the identity that lists or deletes")

    command = add("emulator", "run a local Artifact Registry", "| tee emulator.env")
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    command.add_argument("--port", type=_port, default=8085, help="port to listen on, 0 = any free one (default: 8085)")
    command.add_argument(
        "--data", type=Path, default=Path(".gar-emulator"), help="folder for the state (default: .gar-emulator)"
    )
    command.add_argument("--world", type=Path, help="a world file (TOML) instead of the default world")
    command.add_argument(
        "--tls", action="store_true", help="serve every Google host name over TLS, with a CA of its own"
    )

    add("demo", "publish an example to an emulator, and install it from there", "")

    command = add(
        "completion",
        "print a script that completes commands and options in a shell",
        "bash >> ~/.bashrc",
        "zsh >> ~/.zshrc",
        "fish > ~/.config/fish/completions/gar-publish.fish",
    )
    command.add_argument("shell", choices=SHELLS, help="the shell")


def _add_folders(command: argparse.ArgumentParser) -> None:
    command.add_argument("folders", nargs="*", metavar="FOLDER", help="project folders or globs (default: .)")


def _add_repository(command: argparse.ArgumentParser, title: str, inputs: Iterable[Input] = REPOSITORY_INPUTS) -> None:
    _add_inputs(command.add_argument_group(title, _DEFAULTS), inputs)


def _add_identity(command: argparse.ArgumentParser, title: str, *more: Input) -> None:
    group = command.add_argument_group(title, "Without an option: the credentials of this machine.")
    _add_inputs(group, [*CREDENTIAL_INPUTS, *more])


def _add_output(command: argparse.ArgumentParser, what: str) -> None:
    command.add_argument("--json", metavar="FILE", help=f"write {what} as JSON (- for standard output)")


def _add_amount(command: argparse.ArgumentParser) -> None:
    amount = command.add_mutually_exclusive_group()
    _add_quiet(amount)
    amount.add_argument("-v", "--verbose", action="store_true", help="show the output of builds")


def _add_quiet(command: argparse._ActionsContainer) -> None:
    command.add_argument("-q", "--quiet", action="store_true", help="show only notes, warnings and errors")


def _add_logins(command: argparse.ArgumentParser, *, default: str) -> argparse._ArgumentGroup:
    group = command.add_argument_group("the login that the tool gets")
    logins = group.add_mutually_exclusive_group()
    for name, meaning in (
        ("token", "a new token, read-only if the registry accepts that"),
        ("keyring", "no secret: the tool asks keyrings.google-artifactregistry-auth"),
    ):
        help_ = f"{meaning} (default)" if name == default else meaning
        logins.add_argument(f"--{name}", dest="login", action="store_const", const=name, default=default, help=help_)
    _add_inputs(logins, [JSON_KEY])
    return group


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
        if each.default and each.kind != "secret":
            help_ += f" (default: {each.default})"
        command.add_argument(f"--{each.name}", dest=each.name, help=help_, **how)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) >= 1 << 16:
        raise argparse.ArgumentTypeError(f"{text} is not a port from 0 to 65535")
    return int(text)


def _shards(text: str) -> int:
    if not text.isdecimal() or len(text) > len(str(MOST)) or int(text) > MOST:
        raise argparse.ArgumentTypeError(f"{text} is not a number of jobs from 0 to {MOST}")
    return int(text)


def read_inputs(
    options: Mapping[str, Any], stdin: TextIO | None, environment: Mapping[str, str], folder: Path
) -> dict[str, str]:
    """Return the options as inputs, and what the environment or the project sets in place of options.

    Args:
        options: The options. That of a secret names a file, or - for standard input.
        stdin: Standard input; None if it is closed.
        environment: The environment's variables.
        folder: The current folder, whose pyproject.toml may have settings.

    Raises:
        BadInput: An option is empty, a secret cannot be read, options contradict each other, or the project's settings
            are wrong.
    """
    _refuse_empty(options)
    inputs = {}
    piped = [each.name for each in OPTIONS.values() if each.kind == "secret" and options.get(each.name) == "-"]
    if piped[1:]:
        raise BadInput(
            f"`--{piped[0]}` and `--{piped[1]}` are both `-`, but standard input has only one secret.",
            fix=f"give the name of a file: `--{piped[0]} FILE`",
            anchor="secret-files",
        )
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
        values = {"true", "false", "build"} if inputs.get("dry-run") else {"true", "false"}
        if (value := folders[0]) in values and not (folder / value).exists():
            raise BadInput(
                f"There is no folder {value!r}, and options that are true or false take no value.",
                fix="write `--dry-run` for true, `--no-dry-run` for false, or `gar-publish build`",
                anchor="booleans",
            )
        inputs["packages"] = "\n".join([*folders, *(options.get("packages") or [])])
    if inputs.get("packages") and inputs.get("dist"):
        raise beside_dist(f"A project ({inputs['packages'].splitlines()[0]})")
    for_builds = {"formats", "packages"} if inputs.get("dist") else set()
    return inputs | read_defaults(options.keys() - inputs.keys() - for_builds, environment, folder)


def _refuse_empty(options: Mapping[str, Any]) -> None:
    """Refuse an empty text: the default would take its place, which may publish more than was meant.

    An empty commit selects everything, since an event of GitHub may have none.
    """
    given = {each.name: options.get(each.name) for each in OPTIONS.values() if each != CHANGED_SINCE}
    given["packages"] = [*(options.get("folders") or ()), *(given["packages"] or ())]
    for name, value in given.items():
        texts = value if isinstance(value, list) else [value]
        if any(isinstance(text, str) and not text.strip() for text in texts):
            raise BadInput(
                f"`{name}` is empty.",
                cause="a variable of the shell is not set",
                fix=f"give `{name}` a value, or leave it out",
                anchor="empty-option",
            )


def _read_secret(name: str, file: str, stdin: TextIO | None) -> str:
    try:
        text = (stdin.read() if stdin else "") if file == "-" else Path(file).read_text(encoding="utf-8-sig")
    except (OSError, ValueError):
        raise BadInput(
            f"`--{name}` takes the name of a readable file, or - for standard input.",
            cause="the file does not exist or is not UTF-8, or the secret itself was given, which every user of the "
            "machine could see",
            fix=f"gcloud auth print-access-token | gar-publish … --{name} -"
            if name == "access-token"
            else f"gar-publish … --{name} key.json",
            anchor="secret-files",
        ) from None
    if text.strip() in {"", NOT_GIVEN}:
        raise BadInput(
            f"`--{name}` is empty: nothing is in {'standard input' if file == '-' else file}.",
            cause="the command before the pipe failed, or the file was never written",
            fix="run that command on its own, and read what it prints",
            anchor="secret-files",
        )
    return text
