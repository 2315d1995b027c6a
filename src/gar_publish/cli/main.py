"""The command `gar-publish`."""

import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from gar_publish.cli.completion import script
from gar_publish.cli.parser import new_parser, read_inputs
from gar_publish.cli.terminal import TerminalConsole, coloured
from gar_publish.context import Context, new_context
from gar_publish.errors import BadInput, Failure, as_failure
from gar_publish.process import exit_now, hide_this_process, raise_on_signals
from gar_publish.settings.settings import CHANGED_SINCE, OPTIONS, read_repository

Options = Mapping[str, Any]
Environment = Mapping[str, str]


def run() -> NoReturn:
    """Run the command of this process."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # the name of a file need not fit in its encoding
        sys.stdout.reconfigure(errors="backslashreplace")
    exit_now(main())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["help"]:
        given = [*given[1:], "--help"]
    try:
        code = _run_command(given)
    except SystemExit as ended:  # argparse has printed why
        code = int(ended.code or 0)
    if code and _is_index_url(given):
        # A shell ignores the exit code of $(…), and pip would go on with PyPI alone. At such a URL, pip stops.
        with suppress(OSError):
            is_bare = any(each.lower().startswith(("--b", "-b")) for each in given)  # options may be shortened
            print("https://[failed" if is_bare else "--no-index")
    return code


def _is_index_url(arguments: Sequence[str]) -> bool:
    """Return whether `index-url` is meant, also if it is misspelt or after an option."""
    words = arguments if arguments[:1] and arguments[0].startswith("-") else arguments[:1]
    return any(get_close_matches(word.lower(), [*COMMANDS])[:1] == ["index-url"] for word in words)


def _run_command(arguments: Sequence[str]) -> int:
    options = vars(new_parser().parse_args(arguments))
    stream = sys.stderr or io.StringIO()  # there is none if it was closed before the start
    console = TerminalConsole(
        stream,
        options["command"],
        options,
        quiet=options.get("quiet", False),
        verbose=options.get("verbose", False),
    )
    raise_on_signals()
    try:
        _require_folder()
        return COMMANDS[options["command"]](options, dict(os.environ), console)
    except BrokenPipeError:
        console.info("The output was closed before it was complete.")
        return 1
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - a bug is shown as a failure, too
        failure = as_failure(error)
        console.error(failure)
        return failure.exit_code


def _require_folder() -> None:
    try:
        Path.cwd()
    except FileNotFoundError:
        raise BadInput(
            "The current folder was removed.",
            cause="another program removed it, or a clone was made anew, while this shell was in it",
            fix="change to a folder that exists: cd",
            anchor="current-folder",
        ) from None


def publish(options: Options, environment: Environment, console: TerminalConsole) -> int:
    """Run `gar-publish publish`, `gar-publish promote` or `gar-publish build`."""
    from gar_publish.cli import publish as publish_command  # other commands do without

    hide_this_process()
    if options["json"] != "-":
        _write(options["json"], "")  # a file that cannot be written stops the run before anything is published
    read, write = partial(_inputs, options, environment), partial(_write_report, options["json"])
    return publish_command.run(options, environment, console, read=read, write=write)


def rehearse(options: Options, environment: Environment, console: TerminalConsole) -> int:
    """Run `gar-publish rehearse`: a dry run that installs and imports each wheel."""
    return publish({**options, "dry-run": True, "rehearse": True}, environment, console)


def plan(options: Options, environment: Environment, console: TerminalConsole) -> int:
    """Run `gar-publish plan`: print the projects as JSON, on one line unless standard output is a terminal."""
    from gar_publish.projects import shards  # other commands do without
    from gar_publish.projects.plan import matrix, select

    inputs = _inputs(options, environment)
    selected = select(
        OPTIONS["packages"].read(inputs),
        Path.cwd(),
        changed_since=CHANGED_SINCE.read(inputs),
        environment=environment,
        warn=console.warning,
    )
    if options["shards"] is not None:
        jobs = shards.matrix(shards.divide(selected, options["shards"]))
    else:
        if len(selected) > shards.MOST:
            console.warning(
                f"{len(selected)} projects are more jobs than GitHub allows in a matrix ({shards.MOST}). Use "
                "`--shards`: each job then builds several."
            )
        jobs = matrix(selected)
    _print(json.dumps(jobs, indent=2) if os.isatty(1) else json.dumps(jobs, separators=(",", ":")))
    return 0


def index_url(options: Options, environment: Environment, console: TerminalConsole) -> int:
    """Run `gar-publish index-url`: print the install option, and nothing else, on standard output."""
    from gar_publish.registry.access import open_login  # other commands do without
    from gar_publish.settings.index_url import url_with_login

    context = _context_of(environment, console)
    inputs = _inputs(options, environment)
    repository = read_repository(inputs, context.endpoints)
    login = open_login(inputs, context, keyring=options["login"] == "keyring", narrow=True)
    url = url_with_login(repository.index_url, login)
    _print(url if options["bare"] else f"--extra-index-url {url}")
    return 0


def run_program(options: Options, environment: Environment, console: TerminalConsole) -> int:
    """Run `gar-publish run`: a program that can install from the repository."""
    from gar_publish.registry.access import open_login  # other commands do without

    with _installed("`run`", "gar-publish"):
        from gar_publish.cli.run import run as run_with_login

    context = _context_of(environment, console)
    inputs = _inputs(options, environment)
    repository = read_repository(inputs, context.endpoints)
    login = open_login(inputs, context, keyring=False, narrow="access-token" not in inputs)
    return run_with_login(options["program"], repository, login, context)


def configure(options: Options, environment: Environment, console: TerminalConsole) -> int:
    """Run `gar-publish configure`: write the settings of a tool."""
    from gar_publish.registry.access import open_login  # other commands do without

    with _installed("`configure`", "gar-publish"):
        from gar_publish.configure import command

    context = _context_of(environment, console)
    inputs = _inputs(options, environment)
    # twine uploads, and a given token cannot be made read-only.
    narrow = options["tool"] != "twine" and "access-token" not in inputs
    login = open_login(inputs, context, keyring=options["login"] == "keyring", narrow=narrow)
    command.run(options, read_repository(inputs, context.endpoints), login, context, show=_print)
    return 0


def bootstrap(options: Options, environment: Environment, console: TerminalConsole) -> int:
    """Run `gar-publish bootstrap`: print or check the setup of the Google side."""
    from gar_publish.bootstrap import command  # other commands do without

    context = _context_of(environment, console)
    repository = read_repository(_inputs(options, environment), context.endpoints)
    command.run(options, repository, context, show=partial(_print, end=""))
    return 0


def doctor(options: Options, environment: Environment, console: TerminalConsole) -> int:
    """Run `gar-publish doctor`: show each link of the chain, and the fix of the broken one."""
    from gar_publish.doctor import examine, render  # other commands do without

    found = examine(_inputs(options, environment), _context_of(environment, console)).translated(console.in_options)
    show = console.info if options["json"] == "-" else lambda text: _print(coloured(text, sys.stdout))
    show(render.as_text(found))
    _write(options["json"], render.as_json(found))
    return found.exit_code


def previews(options: Options, environment: Environment, console: TerminalConsole) -> int:
    """Run `gar-publish previews`: list previews, or delete them."""
    from gar_publish.previews import clean_up  # other commands do without
    from gar_publish.previews.versions import label_of

    selection = clean_up.read_selection(options["whose"], options["older_than"])
    deletes = options["verb"] == "delete"
    if deletes and selection == clean_up.Selection():
        raise BadInput(
            "`gar-publish previews delete` needs to know which previews.",
            fix="give the number of a pull request, or `--older-than 30d`",
            anchor="previews-selection",
        )
    context = _context_of(environment, console)
    api = clean_up.open_previews(_inputs(options, environment), context)
    found = clean_up.delete(api, selection, context) if deletes else selection.of(api.list_all())
    for each in found:
        _print(f"{label_of(each.version)}\t{each.package}=={each.version}")
    console.info(f"{len(found)} previews{' deleted' if deletes else ''}.")
    return 0


def emulator(options: Options, _: Environment, __: TerminalConsole) -> int:
    """Run `gar-publish emulator`: a local Artifact Registry."""
    with _installed("The emulator", "gar-publish[emulator]"):
        from gar_emulator.errors import EmulatorError  # an extra
        from gar_emulator.server import command

    wanted = {name: options[name] for name in ("host", "port", "data", "world", "tls")}
    try:
        command.run(**wanted, out=_print)
    except EmulatorError as error:
        raise BadInput(error.what, fix=error.fix, anchor=error.anchor) from None
    return 0


def demo(_: Options, environment: Environment, console: TerminalConsole) -> int:
    """Run `gar-publish demo`: publish to an emulator and install from it."""
    with _installed("The emulator", "gar-publish[emulator]"):
        from gar_publish.cli.demo import run  # an extra

        return run(environment, console)


@contextmanager
def _installed(what: str, package: str) -> Iterator[None]:
    """Raise BadInput where a library is missing: one of an extra, or one that the image leaves out."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise BadInput(
            f"{what} is not installed ({error.name} is missing).",
            fix=f"pip install '{package}'",
            anchor="not-installed",
        ) from None


def _context_of(environment: Environment, console: TerminalConsole) -> Context:
    hide_this_process()
    return new_context(environment, console)


def completion(options: Options, _: Environment, __: TerminalConsole) -> int:
    """Run `gar-publish completion`: print a script for a shell."""
    parser = new_parser()
    _print(script(options["shell"], parser.commands, parser.helps), end="")
    return 0


def _inputs(options: Options, environment: Environment) -> dict[str, str]:
    return read_inputs(options, sys.stdin, environment, Path())


def _print(text: str, end: str = "\n") -> None:
    """Print a result at once, since nobody would see that it could not be written at the end of the process.

    Raises:
        BrokenPipeError: The reader of the output is gone.
        Failure: It cannot be written.
    """
    try:
        print(text, end=end, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Failure(
            f"Standard output cannot be written: {error.strerror}.",
            fix="make room on the disk, and run the same command again",
            anchor="outputs",
        ) from None


def _write(file: str | None, text: str) -> None:
    """Write to the file that `--json` names, if any.

    Raises:
        BrokenPipeError: It is standard output, whose reader is gone.
        Failure: It cannot be written; BadInput if it is a file.
    """
    try:
        _write_report(file, text)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise BadInput(
            f"`--json` names {file}, which cannot be written: {error.strerror}.",
            fix="name a file that can be written, or - for standard output",
            anchor="json-file",
        ) from None


def _write_report(file: str | None, text: str) -> None:
    """Write to the file that `--json` names, if any. After a run, a file that cannot be written is no wrong input."""
    if file == "-":
        _print(text, end="")
    elif file is not None:
        Path(file).write_text(text, encoding="utf-8")


COMMANDS: Mapping[str, Callable[[Options, Environment, TerminalConsole], int]] = {
    "publish": publish,
    "rehearse": rehearse,
    "promote": publish,
    "build": publish,
    "plan": plan,
    "index-url": index_url,
    "run": run_program,
    "configure": configure,
    "doctor": doctor,
    "bootstrap": bootstrap,
    "previews": previews,
    "emulator": emulator,
    "demo": demo,
    "completion": completion,
}


if __name__ == "__main__":
    run()
