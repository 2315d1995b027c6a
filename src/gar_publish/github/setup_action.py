"""The action `setup/action.yml`: a token for the later steps of a job, and the cleanup after the job."""

import os
import secrets
import sys
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from pathlib import Path

from actions_toolkit import core

from gar_publish.auth.tokens import expiry_warning
from gar_publish.configure import files, netrc
from gar_publish.console import rfc3339
from gar_publish.context import new_context
from gar_publish.errors import BadInput, Failure
from gar_publish.flow import mask_given
from gar_publish.github.inputs import read_inputs, refuse_empty_secrets, refuse_unknown_inputs
from gar_publish.github.job_environment import names_in_uv, pip_configuration, read_only_token, variables
from gar_publish.github.workflow_commands import RunnerConsole, run_step
from gar_publish.process import ignore_signals
from gar_publish.settings.index_url import OAUTH_USER, Login, extra_index_option
from gar_publish.settings.settings import SETUP_INPUTS, SetupSettings

_STATES = ("pip_conf", "netrc")


def main() -> int:
    """Get a token, export it for the rest of the job, and return the exit code."""
    environment = dict(os.environ)
    inputs = read_inputs(SETUP_INPUTS, environment)
    return run_step(lambda console: _run(inputs, environment, console))


def post() -> int:
    """Remove the files with the token after the job, and return the exit code."""
    return run_step(lambda _: _remove(filter(None, map(core.get_state, _STATES))))


def write_secret(path: Path, text: str) -> None:
    """Write a new file that only the owner of its folder can read.

    Raises:
        FileExistsError: The name is taken, perhaps by a dangling link.
    """
    owner = path.parent.stat()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w") as file:
        if os.geteuid() == 0:
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        file.write(text)


def _run(inputs: Mapping[str, str], environment: Mapping[str, str], console: RunnerConsole) -> int:
    refuse_unknown_inputs(SETUP_INPUTS, environment)
    refuse_empty_secrets(SETUP_INPUTS, environment)
    for name in ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_STATE"):
        if not Path(environment.get(name, "")).is_file():
            raise BadInput(
                f"The environment variable {name} is not set to a file, so the setup action cannot configure anything.",
                cause="the setup action was started outside a workflow job",
                fix="outside a workflow job, use the command line\n  gar-publish index-url",
                anchor="setup-job",
            )
    context = new_context(environment, console)
    settings = SetupSettings.from_inputs(inputs, environment=environment, endpoints=context.endpoints)
    mask_given(settings.credential, console)
    token = read_only_token(settings.repository, settings.credential, context)
    ignore_signals()
    console.mask(token.value)
    in_uv = names_in_uv(settings.repository, context.workspace)
    expires = rfc3339(token.expires_at)
    try:
        exported = _hand_out(settings, token.value, expires, in_uv, environment)
    except OSError as error:
        raise Failure(
            f"The outputs cannot be written: {error.strerror or error}.",
            fix="make room on the disk of the runner, and run the job again",
            anchor="outputs",
        ) from None
    console.info(f"Exported for this job{f', until {expires}' if expires else ''}: {', '.join(exported)}.")
    if in_uv is not None and not settings.only:
        console.info("A project declares the repository as an index of uv, so UV_INDEX is not set.")
    if warning := expiry_warning(token):
        console.warning(warning)
    if not settings.only:
        console.warning(
            "With an extra index, pip installs the highest version from any index, so a public package can replace a "
            "private one of the same name. Pin hashes, use an explicit index in uv or Poetry, or set `only: true`."
        )
    return 0


def _hand_out(
    settings: SetupSettings, token: str, expires: str, in_uv: Collection[str] | None, environment: Mapping[str, str]
) -> Collection[str]:
    """Export variables, write files and set outputs for later steps, and return the names of the variables."""
    files_of_job = _write_files(settings, token, environment)
    exported = {
        **variables(
            settings.repository,
            token,
            only=settings.only,
            index_name=settings.index_name,
            in_uv=in_uv,
            has_netrc="NETRC" in files_of_job,
            before=environment,
        ),
        **files_of_job,
    }
    for name, value in exported.items():
        core.export_variable(name, value)
    core.set_output("extra-index-url", extra_index_option(settings.repository.index_url, token))
    core.set_output("index-url", settings.repository.index_url)
    core.set_output("token", token)
    core.set_output("token-expires-at", expires)
    return exported.keys()


def _write_files(settings: SetupSettings, token: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Write the files with the token, and return the variables that name them; none where later steps see no file."""
    # If the folder is not a mount (act, old runners), a file would vanish with this container.
    if not os.path.ismount(folder := environment.get("RUNNER_TEMP", "")):
        return {}
    exported = {}
    for state, variable, text in (
        ("pip_conf", "GAR_PIP_CONF", pip_configuration(settings.repository, token, only=settings.only)),
        ("netrc", "NETRC", _netrc(settings, token, environment)),
    ):
        path = Path(folder, f"gar-{secrets.token_hex(8)}.{state}")
        core.save_state(state, str(path))
        write_secret(path, text)
        exported[variable] = str(Path(sys.argv[1]) / path.name)
    return exported


def _netrc(settings: SetupSettings, token: str, environment: Mapping[str, str]) -> str:
    """Return the netrc of the job, which another step may have begun, with the login for the repository's host."""
    before = Path(environment.get("NETRC") or os.devnull)
    add = partial(netrc.with_login, host=settings.repository.host, login=Login(OAUTH_USER, token))
    return files.parsed(before, add) if before.is_file() else add("")


def _remove(paths: Iterable[str]) -> int:
    for path in paths:
        Path(path).unlink(missing_ok=True)
    return 0
