"""The front door for people, for Cloud Build and for any other machine."""

import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn

from gar_publish.cli.parser import new_parser, read_inputs
from gar_publish.cli.terminal import TerminalConsole
from gar_publish.errors import BadInput, Failure, cancelled
from gar_publish.process import leave, raise_on_signals
from gar_publish.settings.endpoints import EMULATOR_VARIABLE, Endpoints
from gar_publish.settings.inputs import Reader
from gar_publish.settings.settings import read_changed_since, read_repository

if TYPE_CHECKING:
    from gar_publish.context import Context

Options = Mapping[str, Any]
Environment = Mapping[str, str]


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


def publish(options: Options, environment: Environment, console: TerminalConsole) -> int:
    """`gar-publish publish` and `gar-publish promote`: the action, in a shell."""
    from gar_publish.cli import publish as publish_command  # other commands do without

    context = _context_of(environment, console)
    write = partial(_write, options["json"])
    if options["json"] != "-":
        write("")  # whether it can be written shows before anything is published
    return publish_command.run(
        context,
        console,
        read=partial(read_inputs, options, sys.stdin),
        write=write,
        summarise=options["summary"] is not False,
    )


def plan(options: Options, environment: Environment, _: TerminalConsole) -> int:
    """`gar-publish plan`: the projects as JSON; on one line, unless a person reads it."""
    from gar_publish.projects.plan import as_json, select  # other commands do without

    inputs = read_inputs(options, sys.stdin)
    selected = select(
        Reader(inputs).lines("packages"), Path.cwd(), changed_since=read_changed_since(inputs), environment=environment
    )
    print(as_json(selected, pretty=os.isatty(1)))
    return 0


def index_url(options: Options, environment: Environment, console: TerminalConsole) -> int:
    """`gar-publish index-url`: the ready line alone, on standard output."""
    from gar_publish.registry.access import open_login  # other commands do without
    from gar_publish.settings.index_url import url_with_login

    context = _context_of(environment, console)
    inputs = read_inputs(options, sys.stdin)
    repository = read_repository(inputs, context.endpoints)
    login = open_login(inputs, context, keyring=options["login"] == "keyring", narrow=True)
    print(f"--extra-index-url {url_with_login(repository.index_url, login)}")
    return 0


def configure(options: Options, environment: Environment, console: TerminalConsole) -> int:
    """`gar-publish configure`: settings of pip, uv, Poetry, PDM, twine or Docker."""
    from gar_publish.registry.access import open_login  # other commands do without

    with _installed("What edits settings", "gar-publish"):
        from gar_publish.configure import command

    context = _context_of(environment, console)
    inputs = read_inputs(options, sys.stdin)
    # twine uploads, and a token that was given cannot be narrowed.
    narrow = options["tool"] != "twine" and "access-token" not in inputs
    login = open_login(inputs, context, keyring=options["login"] == "keyring", narrow=narrow)
    command.run(options, read_repository(inputs, context.endpoints), login, environment, console, show=print)
    return 0


def bootstrap(options: Options, environment: Environment, console: TerminalConsole) -> int:
    """`gar-publish bootstrap`: the set-up of the Google side, as commands, as Terraform, or checked."""
    from gar_publish.bootstrap import command  # other commands do without

    context = _context_of(environment, console)
    repository = read_repository(read_inputs(options, sys.stdin), context.endpoints)
    command.run(options, repository, context, show=partial(print, end="", flush=True))
    return 0


def doctor(options: Options, environment: Environment, console: TerminalConsole) -> int:
    """`gar-publish doctor`: each link of the chain, and what mends the first that is broken."""
    from gar_publish.doctor import examine, render  # other commands do without

    found = examine(read_inputs(options, sys.stdin), _context_of(environment, console))
    show = console.info if options["json"] == "-" else print
    show(render.as_text(found))
    _write(options["json"], render.as_json(found))
    return found.exit_code


def emulator(options: Options, _: Environment, __: TerminalConsole) -> int:
    """`gar-publish emulator`: a local Artifact Registry with everything around it."""
    with _installed("The emulator", "gar-publish[emulator]"):
        from gar_emulator.errors import EmulatorError  # an extra
        from gar_emulator.server import command

    wanted = {name: options[name] for name in ("host", "port", "data", "world", "tls")}
    try:
        command.run(**wanted, out=lambda line: print(line, flush=True))
    except EmulatorError as error:
        raise BadInput(error.what, fix=error.fix, anchor=error.anchor) from None
    return 0


def demo(_: Options, environment: Environment, console: TerminalConsole) -> int:
    """`gar-publish demo`: the whole main job against an emulator of its own."""
    with _installed("The emulator", "gar-publish[emulator]"):
        from gar_publish.cli.demo import run  # an extra

        return run(environment, console)


@contextmanager
def _installed(what: str, package: str) -> Iterator[None]:
    """Explain where a library is missing: one of an extra, or one that the image does without."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise BadInput(
            f"{what} is not installed ({error.name} is missing).",
            fix=f"pip install '{package}'",
            anchor="not-installed",
        ) from None


def _context_of(environment: Environment, console: TerminalConsole) -> "Context":
    from gar_publish.context import (
        Context,
        RetryPolicy,  # keeps `--help` quick
    )
    from gar_publish.process import hide_this_process

    hide_this_process()
    endpoints = Endpoints.from_environment(environment)
    if endpoints.emulator:
        console.notice(f"{EMULATOR_VARIABLE} is set: talking to the emulator at {endpoints.emulator}, not to Google.")
    return Context(Path.cwd(), environment, endpoints, console, RetryPolicy())


def _write(file: str | None, text: str) -> None:
    """Write what `--json` asks for, if it is given."""
    try:
        if file == "-":
            print(text, end="", flush=True)
        elif file is not None:
            Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(
            f"`--json` names {file}, which cannot be written: {error.strerror}.",
            fix="name a file in a folder that exists, or - for standard output",
            anchor="json-file",
        ) from None


COMMANDS: Mapping[str, Callable[[Options, Environment, TerminalConsole], int]] = MappingProxyType(
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
