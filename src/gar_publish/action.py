"""The front door for the runner: `INPUT_*` in; outputs, masks, annotations and the step summary out.

See https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

import os
from collections.abc import Mapping
from pathlib import Path

from actions_toolkit import core

from gar_publish.endpoints import Endpoints
from gar_publish.interruption import ignore_signals
from gar_publish.patience import Patience
from gar_publish.pipeline import Surroundings, publish
from gar_publish.report import Report, failure_as_markdown
from gar_publish.runner import RunnerConsole, mask_given, run_step
from gar_publish.settings import INPUTS, Settings

_SUMMARY_LIMIT = 1024 * 1024


def main() -> int:
    """Run the action.

    Returns:
        The exit code of the contract.
    """
    inputs = {each.name: core.get_input(each.name) for each in INPUTS}
    return run_step(
        lambda console: _run(inputs, dict(os.environ), console),
        on_failure=lambda failure: _summarise(failure_as_markdown(failure)),
    )


def _run(inputs: Mapping[str, str], environment: Mapping[str, str], console: RunnerConsole) -> int:
    endpoints = Endpoints.from_environment(environment)
    if endpoints.emulator:
        console.notice(f"Talking to the emulator at {endpoints.emulator}, not to Google.")
    settings = Settings.from_inputs(inputs, environment=environment, endpoints=endpoints)
    mask_given(settings.credential, console)
    around = Surroundings(
        workspace=Path(environment.get("GITHUB_WORKSPACE") or Path.cwd()),
        environment=environment,
        endpoints=endpoints,
        console=console,
        patience=Patience(),
        container=True,
    )
    report = publish(settings, around)
    ignore_signals()
    _hand_out(report, settings, console)
    for failure in report.failures:
        console.error(failure)
    return report.failure.exit_code if report.failure else 0


def _hand_out(report: Report, settings: Settings, console: RunnerConsole) -> None:
    for line in report.as_text().splitlines():
        console.info(line)
    if report.index_token:
        console.mask(report.index_token)
    if Path(os.environ.get("GITHUB_OUTPUT", "")).is_file():
        for name, value in report.outputs().items():
            core.set_output(name, value)
    else:
        console.warning("No outputs are set: GITHUB_OUTPUT names no file, as it does in a job.")
    if settings.summary:
        _summarise(report.as_markdown())


def _summarise(markdown: str) -> None:
    """Append to the step summary; over 1,024 KiB the runner would drop all of it."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if path and len(markdown.encode()) < _SUMMARY_LIMIT:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"{markdown}\n")
