"""The front door for people, for Cloud Build and for any other machine."""

import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

from gar_publish import cloud_build, summary
from gar_publish.arguments import new_parser, read_inputs
from gar_publish.endpoints import EMULATOR_VARIABLE, Endpoints
from gar_publish.errors import CONFUSION_DOCS, BadInput, Failure, cancelled
from gar_publish.identity import KeyPassword, read_credential
from gar_publish.inputs import CREDENTIAL_INPUTS, JSON_KEY_OPTION, Reader
from gar_publish.interruption import ignore_signals, leave, raise_on_signals, until_a_signal
from gar_publish.settings import Settings, read_changed_since, read_index_token, read_repository, refuse_key_elsewhere
from gar_publish.terminal import TerminalConsole

if TYPE_CHECKING:
    from gar_publish.login import Login
    from gar_publish.report import Report
    from gar_publish.surroundings import Surroundings


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
        with suppress(BrokenPipeError):
            print("--no-index")
    return code


def _run_command(arguments: Sequence[str]) -> int:
    options = vars(new_parser().parse_args(arguments))
    console = TerminalConsole(sys.stderr or io.StringIO())  # there is none where it was closed before the start
    raise_on_signals()
    try:
        return COMMANDS[options["command"]](options, dict(os.environ), console)
    except Failure as failure:
        console.error(failure)
        return failure.exit_code
    except KeyboardInterrupt:
        console.error(cancelled())
        return cancelled().exit_code
    except BrokenPipeError:
        console.info("Whoever read the output is gone, so there is no more of it.")
        return 1
    except Exception:  # noqa: BLE001 - whatever escapes is our own mistake, and is said to be
        import traceback  # keeps `--version` quick

        console.info(traceback.format_exc())
        console.info("This is a bug in gar-publish, not a mistake of yours. Please report the lines above.")
        return 1


def publish(options: Mapping[str, object], environment: Mapping[str, str], console: TerminalConsole) -> int:
    """`gar-publish publish` and `gar-publish promote`: the action, in a shell."""
    from gar_publish.pipeline import publish as run_pipeline  # other commands do without

    around = _surroundings(environment, console)
    json_file = options["json"]
    if isinstance(json_file, str) and json_file != "-":
        _write(json_file, "")  # whether it can be written shows before anything is published
    inputs: dict[str, str] = {}
    try:
        inputs = read_inputs(options, sys.stdin)
        settings = Settings.from_inputs(inputs, environment=environment, endpoints=around.endpoints)
        report = run_pipeline(settings, replace(around, settled=ignore_signals))
    except (Failure, KeyboardInterrupt) as stopped:
        ignore_signals()
        failure = stopped if isinstance(stopped, Failure) else cancelled()
        from gar_publish.render import failure_as_json_text, failure_as_markdown

        if isinstance(json_file, str):
            _write(json_file, failure_as_json_text(failure))
        if options["summary"] is not False:
            summary.add(failure_as_markdown(failure), environment, console)
        _find_broken_link(failure, inputs, around)
        raise failure from None
    finally:
        console.end_progress()
    code = _hand_out(report, options, environment, console)
    if report.failure:
        _find_broken_link(report.failure, inputs, around)
    return code


def _find_broken_link(failure: Failure, inputs: Mapping[str, str], around: "Surroundings") -> None:
    """With `--doctor`, say where the chain is broken after a run has failed."""
    if inputs.get("doctor") == "true":
        from gar_publish.doctor import tell_after  # a run that succeeds does without

        with until_a_signal():
            tell_after(failure, inputs, replace(around, settled=ignore_signals))


def _hand_out(
    report: "Report", options: Mapping[str, object], environment: Mapping[str, str], console: TerminalConsole
) -> int:
    from gar_publish import render  # other commands do without

    failures = list(report.failures)
    json_file = options["json"]
    if isinstance(json_file, str):
        try:
            _write(json_file, render.as_json(report))
        except BadInput as failure:  # what was published is told all the same
            failures.append(failure)
    console.info(render.as_text(report))
    if report.verified:
        console.info(render.VERIFIED)
    if options["summary"] is not False:
        summary.add(render.as_markdown(report), environment, console)
    _write_step_output(environment, report.outputs(), console)
    for each in failures:
        console.error(each)
    if failures:
        return failures[0].exit_code
    if report.pins and not report.dry_run:
        line = f"$(gar-publish index-url --repository {report.repository} …)"
        console.info(f"\nTo install: pip install {line} {' '.join(report.pins)}")
        console.info(f"Only hashes are safe from packages of the same name elsewhere: {CONFUSION_DOCS}")
    return 0


def plan(options: Mapping[str, object], environment: Mapping[str, str], _: TerminalConsole) -> int:
    """`gar-publish plan`: the projects as JSON; on one line, unless a person reads it."""
    from gar_publish.plan import as_json, select  # other commands do without

    inputs = read_inputs(options, sys.stdin)
    selected = select(
        Reader(inputs).lines("packages"), Path.cwd(), changed_since=read_changed_since(inputs), environment=environment
    )
    print(as_json(selected, pretty=os.isatty(1)))
    return 0


def index_url(options: Mapping[str, object], environment: Mapping[str, str], console: TerminalConsole) -> int:
    """`gar-publish index-url`: the ready line alone, on standard output."""
    from gar_publish.login import url_with_login  # other commands do without

    around = _surroundings(environment, console)
    inputs = read_inputs(options, sys.stdin)
    repository = read_repository(inputs, around.endpoints)
    login = _login(options, inputs, around, narrow=True)
    print(f"--extra-index-url {url_with_login(repository.index_url, login)}")
    return 0


def configure(options: Mapping[str, object], environment: Mapping[str, str], console: TerminalConsole) -> int:
    """`gar-publish configure`: settings of pip, uv, Poetry, PDM, twine or Docker."""
    from gar_publish.configure import command  # other commands do without

    around = _surroundings(environment, console)
    inputs = read_inputs(options, sys.stdin)
    # twine uploads, and a token that was given cannot be narrowed.
    login = _login(options, inputs, around, narrow=options["tool"] != "twine" and "access-token" not in inputs)
    command.run(options, read_repository(inputs, around.endpoints), login, environment, console, show=print)
    return 0


def bootstrap(options: Mapping[str, object], environment: Mapping[str, str], console: TerminalConsole) -> int:
    """`gar-publish bootstrap`: the set-up of the Google side, as commands, as Terraform, or checked."""
    from gar_publish.bootstrap import command  # other commands do without

    around = _surroundings(environment, console)
    repository = read_repository(read_inputs(options, sys.stdin), around.endpoints)
    command.run(options, repository, around, show=partial(print, end="", flush=True))
    return 0


def _login(
    options: Mapping[str, object], inputs: Mapping[str, str], around: "Surroundings", *, narrow: bool
) -> "Login":
    """What `--keyring`, `--json-key` or `--token` asks for."""
    from gar_publish.access import open_access
    from gar_publish.http import new_session, refuse_plain_http
    from gar_publish.login import KEY_USER, KEYRING, NOBODY, OAUTH_USER, Login

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
    index_token = read_index_token(inputs, credential) if narrow else "publisher"
    access = open_access(repository, credential, index_token, around, new_session(around.patience))
    access.files("gar-publish")  # any name will do: whoever may not read is told so here, and not by pip
    token = access.line_token()
    return Login(OAUTH_USER, token.value, token.expires_at) if token else NOBODY


def doctor(options: Mapping[str, object], environment: Mapping[str, str], console: TerminalConsole) -> int:
    """`gar-publish doctor`: each link of the chain, and what mends the first that is broken."""
    from gar_publish.doctor import examine, render  # other commands do without

    found = examine(read_inputs(options, sys.stdin), _surroundings(environment, console))
    json_file = options["json"]
    show = console.info if json_file == "-" else print
    show(render.as_text(found))
    if isinstance(json_file, str):
        _write(json_file, render.as_json(found))
    return found.exit_code


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
    from gar_publish.surroundings import Surroundings

    hide_this_process()
    endpoints = Endpoints.from_environment(environment)
    if endpoints.emulator:
        console.notice(f"{EMULATOR_VARIABLE} is set: talking to the emulator at {endpoints.emulator}, not to Google.")
    return Surroundings(Path.cwd(), environment, endpoints, console, Patience())


def _write(file: str, text: str) -> None:
    try:
        if file == "-":
            print(text, end="", flush=True)
        else:
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


COMMANDS: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, str], TerminalConsole], int]] = MappingProxyType(
    {
        "publish": publish,
        "promote": publish,
        "plan": plan,
        "index-url": index_url,
        "configure": configure,
        "doctor": doctor,
        "bootstrap": bootstrap,
        "emulator": emulator,
        "demo": demo,
    }
)


if __name__ == "__main__":
    run()
