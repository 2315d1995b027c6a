"""The action: inputs from `INPUT_*`; outputs, annotations and the step summary for the runner."""

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gar_publish import flow
from gar_publish.errors import Failure
from gar_publish.github.inputs import read_inputs, refuse_empty_secrets, refuse_unknown_inputs
from gar_publish.github.workflow_commands import RunnerConsole, run_step
from gar_publish.report import render
from gar_publish.settings.settings import CREDENTIAL_INPUTS, INPUTS

if TYPE_CHECKING:
    from gar_publish.report.report import Report


def main() -> int:
    """Run the action and return its exit code."""
    environment = dict(os.environ)
    inputs = read_inputs(INPUTS, environment)

    def read() -> Mapping[str, str]:
        refuse_unknown_inputs(INPUTS, environment)
        refuse_empty_secrets(CREDENTIAL_INPUTS, environment)
        return inputs

    def step(console: RunnerConsole) -> int:
        if inputs["preview"] == "delete":
            from gar_publish.github import delete_previews  # other runs do without

            return delete_previews.run(read(), environment, console)
        return flow.run(
            read,
            environment,
            flow.Outlet(
                console,
                hand_out=partial(_hand_out, environment=environment, console=console),
                error=console.error,
                summary=inputs["summary"].lower() != "false",
                step=environment.get("GITHUB_ACTION", ""),
            ),
            workspace=Path(environment.get("GITHUB_WORKSPACE") or Path.cwd()),
            container=True,
        )

    return run_step(step)


def _hand_out(outcome: "Report | Failure", environment: Mapping[str, str], console: RunnerConsole) -> None:
    if isinstance(outcome, Failure):
        return
    outcome = replace(outcome, lock=_on_the_host(outcome.lock, environment.get("RUNNER_TEMP", "")))
    console.info(render.as_text(outcome))
    if outcome.index_token:
        console.mask(outcome.index_token)
    if outcome.token_warning:
        console.warning(outcome.token_warning)
    if Path(environment.get("GITHUB_OUTPUT", "")).is_file():
        from actions_toolkit import core  # imports requests, which is slow

        for name, value in outcome.outputs().items():
            core.set_output(name, value)
    else:
        console.warning("The outputs could not be set: the environment variable GITHUB_OUTPUT is not set to a file.")


def _on_the_host(path: str, temporary: str) -> str:
    """Return a path in the runner's temp folder as later steps know it: this container has that folder elsewhere."""
    if not path or not temporary or not sys.argv[2:] or not Path(path).is_relative_to(temporary):
        return path
    return str(Path(sys.argv[2], Path(path).relative_to(temporary)))
