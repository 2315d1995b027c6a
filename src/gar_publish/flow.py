"""One publishing run, from the inputs to the exit code: the same for every front door."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gar_publish.console import Console
from gar_publish.context import Context, new_context
from gar_publish.errors import CredentialsFailure, Failure, RegistryRefused, Unreachable, as_failure
from gar_publish.process import ignore_signals, interruptible
from gar_publish.publish.build import build
from gar_publish.publish.pipeline import publish
from gar_publish.report import ci_files, render
from gar_publish.settings.credential import Credential, GivenToken, Key
from gar_publish.settings.settings import DRY_RUN, GITHUB_TOKEN, Settings, read_build_settings

if TYPE_CHECKING:
    from gar_publish.report.report import Report

_SHORTEST_KEY_LINE = 32
_DOCTOR_KNOWS_MORE = (CredentialsFailure, RegistryRefused, Unreachable)
"""Failures whose cause may be a link of the chain from the job to the repository."""


@dataclass(frozen=True)
class Outlet:
    """What one front door does with the outcome of a run.

    Attributes:
        console: Shows what is being done.
        hand_out: Shows a report and hands out its outputs, or hands out the failure of a run without a report.
            May raise Failure or OSError.
        error: Shows a failure.
        summary: Whether to write the step summary.
        words: Translates the text of a failure into the syntax of this front door.
        step: The id of the step whose outputs have an install option with a token; None if none is handed out.
    """

    console: Console
    hand_out: "Callable[[Report | Failure], None]"
    error: Callable[[Failure], None]
    summary: bool
    words: Callable[[str], str] = str
    step: str | None = None


def run(
    read: Callable[[], Mapping[str, str]],
    environment: Mapping[str, str],
    outlet: Outlet,
    *,
    workspace: Path | None = None,
    container: bool = False,
) -> int:
    """Publish, hand out the outcome, and after a failure ask the doctor, if the input `doctor` is true.

    Args:
        read: Reads the inputs.
        environment: The environment's variables.
        outlet: Takes the outcome.
        workspace: The folder that `packages` and `dist` start from; None for the current one.
        container: Whether the run has a container to itself.

    Returns:
        The exit code.
    """
    inputs: Mapping[str, str] = {}
    token: str | None = None
    context: Context | None = None
    outcome: Report | Failure
    try:
        inputs = read()
        context = new_context(environment, outlet.console, workspace=workspace, container=container)
        token = GITHUB_TOKEN.read(inputs)
        outcome = _report(inputs, context, outlet).translated(outlet.words)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - a bug is shown as a failure, too
        ignore_signals()
        outcome = as_failure(error).translated(outlet.words)
    failures = [outcome] if isinstance(outcome, Failure) else outcome.failures
    failed = bool(failures)
    try:
        outlet.hand_out(outcome)
    except Failure as failure:
        failures.append(failure)
    except OSError as error:
        failures.append(
            Failure(
                f"The outputs cannot be written: {error.strerror or error}.",
                fix="make room on the disk, and run the same command again",
                anchor="outputs",
            ).translated(outlet.words)
        )
    if context and token and not isinstance(outcome, Failure):
        _comment(outcome, token, context)
    if outlet.summary:
        ci_files.add_step_summary(render.as_markdown(outcome, outlet.step), environment, outlet.console)
    for each in failures:
        outlet.error(each)
    if not failures:
        return 0
    asks_doctor = inputs.get("doctor", "").lower() == "true" and inputs.get("dry-run") != "build"
    if failed and context and asks_doctor and isinstance(failures[0], _DOCTOR_KNOWS_MORE):
        from gar_publish.doctor import tell_after  # only after a failure

        with interruptible():
            tell_after(failures[0], inputs, context, outlet.words)
    return failures[0].exit_code


def _report(inputs: Mapping[str, str], context: Context, outlet: Outlet) -> "Report":
    if DRY_RUN.read(inputs) == "build":
        return build(read_build_settings(inputs), context)
    settings = Settings.from_inputs(inputs, environment=context.environment, endpoints=context.endpoints)
    mask_given(settings.credential, outlet.console)
    if settings.github_token:
        outlet.console.mask(settings.github_token)
    if outlet.step is None:
        settings = replace(settings, index_token="none")  # noqa: S106 - no token
    return publish(settings, context)


def _comment(report: "Report", token: str, context: Context) -> None:
    """Write the comment on the pull request of a preview. Without it, the run is complete all the same."""
    from gar_publish.previews import comment  # most runs make no preview

    try:
        comment.write(report, token, context)
    except Failure as failure:
        context.console.warning(failure.brief)


def mask_given(credential: Credential, console: Console) -> None:
    """Mask the secrets in a credential that was given as an input."""
    match credential:
        case GivenToken(value):
            console.mask(value)
        case Key(info):
            # The runner masks the secret as it was given, but not what is inside of base64.
            for line in str(info["private_key"]).splitlines():
                if len(line) >= _SHORTEST_KEY_LINE and not line.startswith("-----"):
                    console.mask(line)
