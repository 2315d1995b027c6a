"""The front door for the runner: `INPUT_*` in; outputs, masks, annotations and the step summary out.

See https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gar_publish.context import Context, RetryPolicy
from gar_publish.errors import Failure
from gar_publish.github.workflow_commands import RunnerConsole, mask_given, read_inputs, run_step
from gar_publish.process import ignore_signals, until_a_signal
from gar_publish.publish.pipeline import publish
from gar_publish.report import ci_files, render
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.inputs import INPUTS
from gar_publish.settings.settings import Settings

if TYPE_CHECKING:
    from gar_publish.report.report import Report


def main() -> int:
    """Run the action.

    Returns:
        The exit code of the contract.
    """
    environment = dict(os.environ)
    inputs = read_inputs(INPUTS, environment)
    return run_step(
        lambda console: _run(inputs, environment, console),
        on_failure=lambda failure, console: _fail(failure, inputs, environment, console),
    )


def _run(inputs: Mapping[str, str], environment: Mapping[str, str], console: RunnerConsole) -> int:
    context = _context_of(environment, console)
    if context.endpoints.emulator:
        console.notice(f"Talking to the emulator at {context.endpoints.emulator}, not to Google.")
    settings = Settings.from_inputs(inputs, environment=environment, endpoints=context.endpoints)
    mask_given(settings.credential, console)
    report = publish(settings, context)
    _hand_out(report, settings, environment, console)
    for failure in report.failures:
        console.error(failure)
    if report.failure is None:
        return 0
    _find_broken_link(report.failure, inputs, environment, console)
    return report.failure.exit_code


def _context_of(environment: Mapping[str, str], console: RunnerConsole) -> Context:
    return Context(
        workspace=Path(environment.get("GITHUB_WORKSPACE") or Path.cwd()),
        environment=environment,
        endpoints=Endpoints.from_environment(environment),
        console=console,
        retry_policy=RetryPolicy(),
        container=True,
        settled=ignore_signals,
    )


def _hand_out(report: "Report", settings: Settings, environment: Mapping[str, str], console: RunnerConsole) -> None:
    for line in render.as_text(report).splitlines():
        console.info(line)
    if report.index_token:
        console.mask(report.index_token)
    if Path(environment.get("GITHUB_OUTPUT", "")).is_file():
        from actions_toolkit import core  # see `gar_publish.github.workflow_commands`

        for name, value in report.outputs().items():
            core.set_output(name, value)
    else:
        console.warning("No outputs are set: GITHUB_OUTPUT names no file, as it does in a job.")
    if settings.summary:
        ci_files.add_step_summary(render.as_markdown(report), environment, console)


def _fail(failure: Failure, inputs: Mapping[str, str], environment: Mapping[str, str], console: RunnerConsole) -> None:
    """Say why there is nothing else in the summary; the inputs may be what is wrong."""
    if inputs["summary"].lower() != "false":
        ci_files.add_step_summary(render.failure_as_markdown(failure), environment, console)
    _find_broken_link(failure, inputs, environment, console)


def _find_broken_link(
    failure: Failure, inputs: Mapping[str, str], environment: Mapping[str, str], console: RunnerConsole
) -> None:
    nobody_to_ask = failure.anchor == "emulator-address"
    if inputs["doctor"].lower() == "true" and not nobody_to_ask:
        from gar_publish.doctor import tell_after  # a run that succeeds does without

        with until_a_signal():
            tell_after(failure, inputs, _context_of(environment, console))
