"""The front door for the runner: `INPUT_*` in; outputs, masks, annotations and the step summary out.

See https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

import os
import traceback
from collections.abc import Mapping
from pathlib import Path

from actions_toolkit import core

from gar_publish.build.process import hide_this_process
from gar_publish.endpoints import Endpoints
from gar_publish.errors import Failure, cancelled
from gar_publish.identity import GivenToken, Key
from gar_publish.interruption import ignore_signals, raise_on_signals
from gar_publish.patience import Patience
from gar_publish.pipeline import Surroundings, publish
from gar_publish.report import Report, failure_as_markdown
from gar_publish.runner import RunnerConsole
from gar_publish.settings import INPUTS, Settings

_SUMMARY_LIMIT = 1024 * 1024
_SHORTEST_KEY_LINE = 32


def main() -> int:
    """Run the action.

    Returns:
        The exit code of the contract.
    """
    raise_on_signals()
    hide_this_process()
    console = RunnerConsole()
    inputs = {each.name: core.get_input(each.name) for each in INPUTS}
    try:
        return _run(inputs, dict(os.environ), console)
    except Failure as failure:
        return _fail(failure, console)
    except KeyboardInterrupt:
        return _fail(cancelled(), console)
    except Exception:  # noqa: BLE001 - whatever escapes is our own mistake, and is said to be
        console.info(traceback.format_exc())
        core.error("This is a bug in gar-publish, not a mistake of yours. Please report the lines above.")
        return 1


def _run(inputs: Mapping[str, str], environment: Mapping[str, str], console: RunnerConsole) -> int:
    endpoints = Endpoints.from_environment(environment)
    if endpoints.emulator:
        console.notice(f"Talking to the emulator at {endpoints.emulator}, not to Google.")
    settings = Settings.from_inputs(inputs, environment=environment, endpoints=endpoints)
    _mask_given(settings, console)
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


def _mask_given(settings: Settings, console: RunnerConsole) -> None:
    match settings.credential:
        case GivenToken(value):
            console.mask(value)
        case Key(info):
            # The runner masks what stands in a secret; of base64 it does not know what is inside.
            for line in str(info["private_key"]).splitlines():
                if len(line) >= _SHORTEST_KEY_LINE and not line.startswith("-----"):
                    console.mask(line)


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


def _fail(failure: Failure, console: RunnerConsole) -> int:
    ignore_signals()
    console.error(failure)
    console.info(failure.explain())
    _summarise(failure_as_markdown(failure))
    return failure.exit_code


def _summarise(markdown: str) -> None:
    """Append to the step summary; over 1,024 KiB the runner would drop all of it."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if path and len(markdown.encode()) < _SUMMARY_LIMIT:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(f"{markdown}\n")
