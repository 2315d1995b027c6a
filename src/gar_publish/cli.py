"""The front door for people, for Cloud Build and for any other machine."""

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from gar_publish import __version__, cloud_build
from gar_publish.configure.options import add_options as add_configure_options
from gar_publish.endpoints import EMULATOR_VARIABLE, Endpoints
from gar_publish.errors import BadInput, Failure, cancelled
from gar_publish.identity import KeyPassword, read_credential
from gar_publish.interruption import ignore_signals, leave, raise_on_signals
from gar_publish.settings import (
    CREDENTIAL_INPUTS,
    INDEX_TOKEN_INPUT,
    INPUTS,
    JSON_KEY_OPTION,
    PUBLISH_INPUTS,
    REPOSITORY_INPUTS,
    Input,
    Settings,
    read_index_token,
    read_repository,
    refuse_key_elsewhere,
)
from gar_publish.terminal import TerminalConsole

if TYPE_CHECKING:
    from gar_publish.login import Login
    from gar_publish.pipeline import Surroundings


def run() -> NoReturn:
    """Run the command that the process was started with."""
    leave(main())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit code of the contract.
    """
    given = sys.argv[1:] if arguments is None else arguments
    try:
        code = _run_command(given)
    except SystemExit as ended:  # argparse has said why
        code = int(ended.code or 0)
    if code and given[:1] == ["index-url"]:
        # A shell ignores the exit code of $(…), and pip would look for the package on PyPI alone.
        print("--no-index")
    return code


def _run_command(arguments: Sequence[str]) -> int:
    options = vars(_parser().parse_args(arguments))
    console = TerminalConsole(sys.stderr)
    raise_on_signals()
    try:
        run: Callable[[Mapping[str, object], Mapping[str, str], TerminalConsole], int] = options["run"]
        return run(options, dict(os.environ), console)
    except Failure as failure:
        console.error(failure)
        return failure.exit_code
    except KeyboardInterrupt:
        console.error(cancelled())
        return cancelled().exit_code
    except Exception:  # noqa: BLE001 - whatever escapes is our own mistake, and is said to be
        console.info(traceback.format_exc())
        console.info("This is a bug in gar-publish, not a mistake of yours. Please report the lines above.")
        return 1


def publish(options: Mapping[str, object], environment: Mapping[str, str], console: TerminalConsole) -> int:
    """`gar-publish publish`: the action, in a shell."""
    from gar_publish.pipeline import publish as run_pipeline  # other commands do without

    around = _surroundings(environment, console)
    json_file = options["json"]
    if isinstance(json_file, str) and json_file != "-":
        _write(json_file, "")  # whether it can be written shows before anything is published
    try:
        settings = Settings.from_inputs(
            _inputs(options, sys.stdin), environment=environment, endpoints=around.endpoints
        )
        report = run_pipeline(settings, around)
    except (Failure, KeyboardInterrupt) as stopped:
        ignore_signals()
        failure = stopped if isinstance(stopped, Failure) else cancelled()
        if isinstance(json_file, str):
            from gar_publish.report import failure_as_json_text

            _write(json_file, failure_as_json_text(failure))
        raise failure from None
    finally:
        console.end_progress()
    ignore_signals()
    console.info(report.as_text())
    if report.verified:
        console.info("Every file was read back from the index, and its SHA-256 is the one above.")
    if isinstance(json_file, str):
        _write(json_file, report.as_json())
    if settings.summary and "GITHUB_STEP_SUMMARY" in environment:
        with Path(environment["GITHUB_STEP_SUMMARY"]).open("a", encoding="utf-8") as file:
            file.write(report.as_markdown())
    _write_step_output(environment, report.outputs(), console)
    for failure in report.failures:
        console.error(failure)
    if report.failure:
        return report.failure.exit_code
    if not report.dry_run:
        console.info(
            f"\nTo install: pip install $(gar-publish index-url --repository {settings.repository} …) "
            + " ".join(report.outputs()["requirements"].split("\n"))
        )
    return 0


def index_url(options: Mapping[str, object], environment: Mapping[str, str], console: TerminalConsole) -> int:
    """`gar-publish index-url`: the ready line alone, on standard output."""
    from gar_publish.login import url_with_login  # other commands do without

    around = _surroundings(environment, console)
    inputs = _inputs(options, sys.stdin)
    repository = read_repository(inputs, around.endpoints)
    login = _login(options, inputs, around, narrow=True)
    print(f"--extra-index-url {url_with_login(repository.index_url, login)}")
    return 0


def configure(options: Mapping[str, object], environment: Mapping[str, str], console: TerminalConsole) -> int:
    """`gar-publish configure`: settings of pip, uv, Poetry, PDM, twine or Docker."""
    from gar_publish.configure import command  # other commands do without

    around = _surroundings(environment, console)
    inputs = _inputs(options, sys.stdin)
    # twine uploads, and a token that was given cannot be narrowed.
    login = _login(options, inputs, around, narrow=options["tool"] != "twine" and "access-token" not in inputs)
    command.run(options, read_repository(inputs, around.endpoints), login, environment, console, show=print)
    return 0


def _login(
    options: Mapping[str, object], inputs: Mapping[str, str], around: "Surroundings", *, narrow: bool
) -> "Login":
    """What `--keyring`, `--json-key` or `--token` asks for."""
    from gar_publish.http import refuse_plain_http
    from gar_publish.login import KEY_USER, KEYRING, NOBODY, OAUTH_USER, Login
    from gar_publish.pipeline import open_access

    repository = read_repository(inputs, around.endpoints)
    refuse_plain_http(repository.index_url, around.endpoints.emulator)
    keyring = options["login"] == "keyring" and JSON_KEY_OPTION.name not in inputs
    unused = [f"`--{each.name}`" for each in CREDENTIAL_INPUTS if each.name in inputs]
    if unused and (keyring or JSON_KEY_OPTION.name in inputs):
        raise BadInput(
            f"{unused[0]} makes a token, but no token is asked for.",
            fix="add --token, or leave it out",
            anchor="one-login",
        )
    if keyring:
        return KEYRING
    credential = read_credential(inputs, around.environment)
    if isinstance(credential, KeyPassword):
        refuse_key_elsewhere(repository)
        around.console.mask(credential.value)
        return Login(KEY_USER, credential.value)
    access = open_access(
        repository, credential, read_index_token(inputs, credential) if narrow else "publisher", around
    )
    access.files("gar-publish")  # any name will do: whoever may not read is told so here, and not by pip
    token = access.line_token()
    return Login(OAUTH_USER, token.value, token.expires_at) if token else NOBODY


def emulator(options: Mapping[str, object], _: Mapping[str, str], __: TerminalConsole) -> int:
    """`gar-publish emulator`: a local Artifact Registry with everything around it."""
    with _emulator_extra():
        from gar_publish.emulator import command  # an extra

        wanted: dict[str, Any] = {name: options[name] for name in ("host", "port", "data", "world", "tls")}
        command.run(**wanted, out=lambda line: print(line, flush=True))
    return 0


def demo(_: Mapping[str, object], environment: Mapping[str, str], console: TerminalConsole) -> int:
    """`gar-publish demo`: the whole main job against an emulator of its own."""
    with _emulator_extra():
        from gar_publish.demo import run  # an extra

        return run(environment, console)


@contextmanager
def _emulator_extra() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise BadInput(
            f"The emulator is not installed ({error.name} is missing).",
            fix="pip install 'gar-publish[emulator]'",
            anchor="emulator-extra",
        ) from None


def _surroundings(environment: Mapping[str, str], console: TerminalConsole) -> "Surroundings":
    from gar_publish.build.process import hide_this_process  # keeps `--help` quick
    from gar_publish.patience import Patience
    from gar_publish.pipeline import Surroundings

    hide_this_process()
    endpoints = Endpoints.from_environment(environment)
    if endpoints.emulator:
        console.notice(f"{EMULATOR_VARIABLE} is set: talking to the emulator at {endpoints.emulator}, not to Google.")
    return Surroundings(Path.cwd(), environment, endpoints, console, Patience())


def _inputs(options: Mapping[str, object], stdin: TextIO) -> dict[str, str]:
    """The options as inputs. A secret is never on the command line: its option names a file, or - for input."""
    inputs = {}
    for each in (*INPUTS, JSON_KEY_OPTION):
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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gar-publish",
        description="Publish Python packages to Google Artifact Registry in one step, and install them with one line.",
    )
    parser.add_argument("--version", action="version", version=f"gar-publish {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("publish", help="build and publish")
    command.set_defaults(run=publish)
    command.add_argument("folders", nargs="*", metavar="FOLDER", help="project folders or globs (default: .)")
    command.add_argument("--json", metavar="FILE", help="write the report as JSON (- for standard output)")
    _add_inputs(command, (*REPOSITORY_INPUTS, *CREDENTIAL_INPUTS, JSON_KEY_OPTION, *PUBLISH_INPUTS))

    command = commands.add_parser("index-url", help="print the line that lets pip and uv install from the repository")
    command.set_defaults(run=index_url)
    _add_logins(command, default="token")
    _add_inputs(command, (*REPOSITORY_INPUTS, *CREDENTIAL_INPUTS, INDEX_TOKEN_INPUT))

    command = commands.add_parser("configure", help="write the settings of pip, uv, Poetry, PDM, twine or Docker")
    command.set_defaults(run=configure)
    add_configure_options(command)
    _add_logins(command, default="keyring")
    _add_inputs(command, (*REPOSITORY_INPUTS, *CREDENTIAL_INPUTS))

    command = commands.add_parser("emulator", help="run a local Artifact Registry")
    command.set_defaults(run=emulator)
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    command.add_argument("--port", type=_port, default=8085, help="port to listen on, 0 picks one (default: 8085)")
    command.add_argument("--data", type=Path, default=Path(".gar-publish"), help="folder that keeps the state")
    command.add_argument("--world", type=Path, help="a world file (TOML) instead of the default world")
    command.add_argument(
        "--tls", action="store_true", help="serve every Google host name over TLS, with a CA of its own"
    )

    command = commands.add_parser("demo", help="publish and install an example against an emulator")
    command.set_defaults(run=demo)
    return parser


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


def _write(file: str, text: str) -> None:
    if file == "-":
        sys.stdout.write(text)
        return
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(
            f"`--json` names {file}, which cannot be written: {error.strerror}.",
            fix="name a file in a folder that exists, or - for standard output",
            anchor="json-file",
        ) from None


def _write_step_output(environment: Mapping[str, str], outputs: Mapping[str, str], console: TerminalConsole) -> None:
    """On Cloud Build, hand on what is no secret. Where that fails, what was published is published all the same."""
    if folder := environment.get(cloud_build.VARIABLE):
        file = Path(folder, "output")
        try:
            file.write_text(cloud_build.step_output(outputs), encoding="utf-8")
        except OSError as error:
            console.warning(f"The step has no output: {file} cannot be written ({error.strerror}).")


if __name__ == "__main__":
    run()
