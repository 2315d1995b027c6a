"""`gar-publish publish` and `gar-publish promote`: the action, in a shell."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from gar_publish.cli.terminal import TerminalConsole
from gar_publish.context import Context
from gar_publish.errors import CONFUSION_DOCS, BadInput, Failure, cancelled
from gar_publish.process import ignore_signals, until_a_signal
from gar_publish.publish.pipeline import publish
from gar_publish.report import ci_files, render
from gar_publish.settings.settings import Settings

if TYPE_CHECKING:
    from gar_publish.report.report import Report


def run(
    context: Context,
    console: TerminalConsole,
    *,
    read: Callable[[], Mapping[str, str]],
    write: Callable[[str], None],
    summarise: bool,
) -> int:
    """Publish, and tell what happened.

    Args:
        context: Where the run happens.
        console: Who watches.
        read: Reads the inputs.
        write: Takes the report as JSON, or the failure where there is no report.
        summarise: Whether there is a step summary.

    Returns:
        The exit code of the contract.

    Raises:
        Failure: Something was wrong before anything was uploaded; it is in the JSON and in the summary already.
    """
    inputs: Mapping[str, str] = {}
    try:
        inputs = read()
        settings = Settings.from_inputs(inputs, environment=context.environment, endpoints=context.endpoints)
        report = publish(settings, replace(context, settled=ignore_signals))
    except (Failure, KeyboardInterrupt) as stopped:
        ignore_signals()
        failure = stopped if isinstance(stopped, Failure) else cancelled()
        write(render.failure_as_json_text(failure))
        if summarise:
            ci_files.add_step_summary(render.failure_as_markdown(failure), context.environment, console)
        _find_broken_link(failure, inputs, context)
        raise failure from None
    finally:
        console.end_progress()
    code = _hand_out(report, context, console, write, summarise=summarise)
    if report.failure:
        _find_broken_link(report.failure, inputs, context)
    return code


def _hand_out(
    report: "Report", context: Context, console: TerminalConsole, write: Callable[[str], None], *, summarise: bool
) -> int:
    failures = list(report.failures)
    try:
        write(render.as_json(report))
    except BadInput as failure:  # what was published is told all the same
        failures.append(failure)
    console.info(render.as_text(report))
    if report.verified:
        console.info(render.VERIFIED)
    if summarise:
        ci_files.add_step_summary(render.as_markdown(report), context.environment, console)
    ci_files.write_step_output(report.outputs(), context.environment, console)
    for each in failures:
        console.error(each)
    if failures:
        return failures[0].exit_code
    if report.pins and not report.dry_run:
        line = f"$(gar-publish index-url --repository {report.repository} …)"
        console.info(f"\nTo install: pip install {line} {' '.join(report.pins)}")
        console.info(f"Only hashes are safe from packages of the same name elsewhere: {CONFUSION_DOCS}")
    return 0


def _find_broken_link(failure: Failure, inputs: Mapping[str, str], context: Context) -> None:
    """With `--doctor`, say where the chain is broken after a run has failed."""
    if inputs.get("doctor") == "true":
        from gar_publish.doctor import tell_after  # a run that succeeds does without

        with until_a_signal():
            tell_after(failure, inputs, replace(context, settled=ignore_signals))
