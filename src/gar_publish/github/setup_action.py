"""The front door of `setup/action.yml`: a token for a job that installs, and what is left of it removed afterwards."""

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from actions_toolkit import core

from gar_publish.console import rfc3339
from gar_publish.context import Context, RetryPolicy
from gar_publish.errors import BadInput
from gar_publish.github.job_environment import pip_configuration, read_only_token, variables
from gar_publish.github.workflow_commands import RunnerConsole, mask_given, read_inputs, run_step
from gar_publish.process import ignore_signals
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.index_url import extra_index_line
from gar_publish.settings.inputs import SETUP_INPUTS
from gar_publish.settings.settings import SetupSettings

_STATE = "pip_conf"


def main() -> int:
    """Get a token and export it for the rest of the job.

    Returns:
        The exit code of the contract.
    """
    environment = dict(os.environ)
    inputs = read_inputs(SETUP_INPUTS, environment)
    return run_step(lambda console: _run(inputs, environment, console))


def post() -> int:
    """Remove the pip configuration file, after the job.

    Returns:
        The exit code of the contract.
    """
    return run_step(lambda _: _remove(core.get_state(_STATE)))


def write_secret(path: Path, text: str) -> None:
    """Write a new file that its folder's owner alone can read.

    Raises:
        FileExistsError: There is something of that name, be it a dangling link.
    """
    owner = path.parent.stat()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w") as file:
        if os.geteuid() == 0:
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        file.write(text)


def _run(inputs: Mapping[str, str], environment: Mapping[str, str], console: RunnerConsole) -> int:
    for name in ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_STATE"):
        if not Path(environment.get(name, "")).is_file():
            raise BadInput(
                f"Nothing can be set up here: {name} names no file, as it does in a job of a workflow.",
                fix="elsewhere, use `gar-publish index-url`",
                anchor="setup-job",
            )
    endpoints = Endpoints.from_environment(environment)
    if endpoints.emulator:
        console.notice(f"Talking to the emulator at {endpoints.emulator}, not to Google.")
    settings = SetupSettings.from_inputs(inputs, environment=environment, endpoints=endpoints)
    mask_given(settings.credential, console)
    context = Context(Path.cwd(), environment, endpoints, console, RetryPolicy())
    token = read_only_token(settings.repository, settings.credential, context)
    ignore_signals()
    console.mask(token.value)
    exported = dict(
        variables(
            settings.repository, token.value, only=settings.only, index_name=settings.index_name, before=environment
        )
    )
    # Where the folder is no mount (act, old runners), a file would be gone with this container.
    if os.path.ismount(folder := environment.get("RUNNER_TEMP", "")):
        path = Path(folder, f"gar-pip-{secrets.token_hex(8)}.conf")
        core.save_state(_STATE, str(path))
        write_secret(path, pip_configuration(settings.repository, token.value, only=settings.only))
        exported["GAR_PIP_CONF"] = str(Path(sys.argv[1]) / path.name)
    for name, value in exported.items():
        core.export_variable(name, value)
    expires = rfc3339(token.expires_at)
    core.set_output("extra-index-url", extra_index_line(settings.repository.index_url, token.value))
    core.set_output("index-url", settings.repository.index_url)
    core.set_output("token-expires-at", expires)
    console.info(f"Exported for this job{f', until {expires}' if expires else ''}: {', '.join(exported)}.")
    if not settings.only:
        console.warning(
            "With an extra index, pip takes the highest version that any index has, so a public package of the same "
            "name can win over a private one. Pin hashes, use uv's or Poetry's explicit index, or set `only: true` "
            "for a virtual repository."
        )
    return 0


def _remove(path: str) -> int:
    if path:
        Path(path).unlink(missing_ok=True)
    return 0
