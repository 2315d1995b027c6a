"""`gar-publish publish`, `gar-publish promote` and `gar-publish build`."""

import platform
import shlex
import subprocess
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from gar_publish import flow
from gar_publish.cli.terminal import TerminalConsole
from gar_publish.errors import CONFUSION_DOCS, Failure
from gar_publish.report import ci_files, render
from gar_publish.settings.settings import CREDENTIAL_INPUTS, JSON_KEY

if TYPE_CHECKING:
    from gar_publish.report.report import Report


def run(
    options: Mapping[str, Any],
    environment: Mapping[str, str],
    console: TerminalConsole,
    *,
    read: Callable[[], Mapping[str, str]],
    write: Callable[[str], None],
) -> int:
    """Publish, or build alone, and return the exit code.

    Args:
        options: The options of the command line.
        environment: The environment's variables.
        console: The terminal.
        read: Reads the inputs.
        write: Takes the report as JSON, or the failure where there is no report.
    """
    outlet = flow.Outlet(
        console,
        hand_out=partial(_hand_out, options=options, environment=environment, console=console, write=write),
        error=console.error,
        summary=options["summary"] is not False,
        words=console.in_options,
    )
    return flow.run(read, environment, outlet)


def _hand_out(
    outcome: "Report | Failure",
    options: Mapping[str, Any],
    environment: Mapping[str, str],
    console: TerminalConsole,
    write: Callable[[str], None],
) -> None:
    console.end_progress()
    if isinstance(outcome, Failure):
        write(render.as_json(outcome))
        return
    console.info(render.as_text(outcome))
    ci_files.write_step_output(outcome.outputs(), environment, console)
    write(render.as_json(outcome))
    if outcome.pins and not outcome.dry_run and not outcome.failure:
        who = [
            word
            for each in (*CREDENTIAL_INPUTS, JSON_KEY)
            if options.get(each.name) not in (None, "-")
            for word in (f"--{each.name}", options[each.name])
        ]
        run = ["gar-publish", "run", "--repository", str(outcome.repository), *who]
        # cmd does not know single quotes; PowerShell knows double ones, too.
        join = subprocess.list2cmdline if platform.system() == "Windows" else shlex.join
        console.info(f"\nTo install: {join([*run, '--', 'pip', 'install', *outcome.pins])}")
        console.info(f"Pin hashes to be safe from packages of the same name in other indexes: {CONFUSION_DOCS}")
