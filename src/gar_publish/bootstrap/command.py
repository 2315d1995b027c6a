"""`gar-publish bootstrap`: prints a set-up, or says what of it is there."""

import shlex
from collections.abc import Callable, Mapping

from gar_publish.bootstrap.setup import Wanted
from gar_publish.context import Context
from gar_publish.errors import BadInput, RegistryRefused
from gar_publish.registry.google_api import GoogleApi
from gar_publish.settings.repository import Repository


def run(
    options: Mapping[str, object], repository: Repository, context: Context, *, show: Callable[[str], None]
) -> None:
    """Print what the options ask for.

    Args:
        options: Those of the command, as `options.add_options` declares them.
        repository: Where packages go.
        context: Where this happens.
        show: Takes what was asked for; what is said besides goes to the console.

    Raises:
        BadInput: An option is malformed, or the check lacks an id.
        RegistryRefused: Something is missing or differs, as the check has shown; or the project's number is not told.
        CredentialsFailure: There is no token to ask Google with.
        Unreachable: Google does not answer.
    """
    wanted = Wanted.read(options, repository)
    match options["form"]:
        case "terraform":
            from gar_publish.bootstrap.terraform import as_terraform

            show(as_terraform(wanted))
        case "workflow":
            from gar_publish.bootstrap.workflow import as_workflow

            show(as_workflow(wanted, str(options["project_number"] or _project_number(wanted, context))))
        case "check":
            _check(wanted, context, show)
        case _:
            from gar_publish.bootstrap.script import as_script

            show(as_script(wanted))


def _check(wanted: Wanted, context: Context, show: Callable[[str], None]) -> None:
    from gar_publish.bootstrap.check import Check

    if unknown := [(name, command) for name, (value, command) in wanted.ids.items() if not value]:
        lacking = [f"--github-{name.replace('_', '-')}" for name, _ in unknown]
        raise BadInput(
            f"`--check` needs {' and '.join(f'`{name}`' for name in lacking)}: what is there holds numbers, not names.",
            fix=" ".join(f'{name}="$({command})"' for name, (_, command) in zip(lacking, unknown, strict=True)),
            anchor="bootstrap-ids",
        )
    findings = []
    for finding in Check(wanted, api=_api(context), endpoints=context.endpoints).findings():
        findings.append(finding)
        show(f"{finding.state:<8} {finding.what}{f' ({finding.why})' if finding.why else ''}\n")
    if left := sum(finding.state in {"missing", "differs"} for finding in findings):
        raise RegistryRefused(
            f"The set-up is not complete: {left} of {len(findings)} parts are not as they should be.",
            fix=f"{shlex.join(['gar-publish', 'bootstrap', *wanted.arguments])} | sh",
            anchor="bootstrap-check",
        )
    if unseen := sum(finding.state == "unknown" for finding in findings):
        raise RegistryRefused(
            f"Whether the set-up is complete is not known: {unseen} of {len(findings)} parts may not be looked at.",
            cause="these credentials lack the roles that the head of the script names",
            fix="gcloud auth login, as somebody who has them, and check again",
            anchor="bootstrap-check",
        )


def _project_number(wanted: Wanted, context: Context) -> str:
    from gar_publish.registry.google_api import json_object, said
    from gar_publish.transport.session import is_success

    project = wanted.repository.project
    response = _api(context).call(
        "GET", f"{context.endpoints.resource_manager}/projects/{project}", what=f"ask for the number of {project}"
    )
    number = str(json_object(response).get("projectNumber", "")) if is_success(response) else ""
    if not number.isdigit():
        raise RegistryRefused(
            f"Google does not tell the number of the project {project}.",
            cause="the project does not exist, or you lack resourcemanager.projects.get (roles/browser) on it",
            fix=f"give it: --project-number \"$(gcloud projects describe {project} --format='value(projectNumber)')\"",
            anchor="bootstrap-number",
            detail=said(response),
        )
    return number


def _api(context: Context) -> GoogleApi:
    """Google's APIs, with whatever credentials the machine has."""
    from gar_publish.auth.sources import open_source
    from gar_publish.settings.credential import Ambient
    from gar_publish.transport.session import new_session

    session = new_session(context.retry_policy)
    return GoogleApi(context, session, open_source(Ambient(), context, session))
