"""`gar-publish bootstrap`: prints a setup, or checks it."""

import shlex
from collections.abc import Callable, Mapping

from gar_publish.auth.sources import open_source
from gar_publish.bootstrap.check import Check
from gar_publish.bootstrap.script import as_script
from gar_publish.bootstrap.setup import Setup
from gar_publish.bootstrap.terraform import as_terraform
from gar_publish.bootstrap.workflow import as_workflow
from gar_publish.context import Context
from gar_publish.errors import BadInput, RegistryRefused
from gar_publish.registry.google_api import GoogleApi, json_object, said
from gar_publish.registry.refusals import explain_refusal
from gar_publish.settings.credential import Ambient
from gar_publish.settings.repository import Repository
from gar_publish.transport.session import is_success, new_session


def run(
    options: Mapping[str, object], repository: Repository, context: Context, *, show: Callable[[str], None]
) -> None:
    """Print what the options ask for.

    Args:
        options: The options of the command.
        repository: The repository to publish to.
        context: Where this happens.
        show: Prints the result.

    Raises:
        BadInput: An option is malformed, or the check lacks an id.
        RegistryRefused: The check found something missing or different, or the project's number cannot be read.
        CredentialsFailure: There is no token to ask Google with.
        Unreachable: Google does not answer.
    """
    setup = Setup.read(options, repository)
    match options["form"]:
        case "terraform":
            show(as_terraform(setup))
        case "workflow":
            show(as_workflow(setup, str(options["project_number"] or _project_number(setup, context))))
        case "check":
            _check(setup, context, show)
        case _:
            show(as_script(setup))


def _check(setup: Setup, context: Context, show: Callable[[str], None]) -> None:
    if unknown := {
        f"--github-{name.replace('_', '-')}": command for name, (id_, command) in setup.ids.items() if not id_
    }:
        raise BadInput(
            f"`--check` needs {' and '.join(f'`{name}`' for name in unknown)}: Google has the numbers, not the names.",
            fix="add these options\n  " + " ".join(f'{name}="$({command})"' for name, command in unknown.items()),
            anchor="bootstrap-ids",
        )
    findings = []
    for finding in Check(setup, _api(context)).findings():
        findings.append(finding)
        show(f"{finding.state:<8} {finding.what}{f' ({finding.why})' if finding.why else ''}\n")
    if wrong := sum(finding.state in {"missing", "differs"} for finding in findings):
        raise RegistryRefused(
            f"The setup is not complete: {wrong} of {len(findings)} resources are missing or different.",
            fix=f"run the setup again\n  {shlex.join(['gar-publish', 'bootstrap', *setup.arguments])} | sh",
            anchor="bootstrap-check",
        )
    if unknown_parts := sum(finding.state == "unknown" for finding in findings):
        raise RegistryRefused(
            f"The setup could not be checked: {unknown_parts} of {len(findings)} resources cannot be read.",
            cause="these credentials lack the roles listed at the top of the script",
            fix="log in with an account that has those roles, then run the check again\n  gcloud auth login",
            anchor="bootstrap-check",
        )


def _project_number(setup: Setup, context: Context) -> str:
    project = setup.repository.project
    response = _api(context).call(
        "GET", f"{context.endpoints.resource_manager}/projects/{project}", what=f"ask for the number of {project}"
    )
    number = str(json_object(response).get("projectNumber", "")) if is_success(response) else ""
    if not number.isdigit():
        refusal = explain_refusal(response, setup.repository, "read", said(response))
        if refusal.anchor == "quota-project":
            raise refusal
        raise RegistryRefused(
            f"The number of the project {project} cannot be read.",
            cause="the project does not exist, or you lack resourcemanager.projects.get (roles/browser) on it",
            fix="check the project ID, or ask an administrator for the project number and add "
            "`--project-number NUMBER`",
            anchor="bootstrap-number",
            detail=said(response),
        )
    return number


def _api(context: Context) -> GoogleApi:
    """Open Google's APIs with the machine's own credentials."""
    session = new_session(context.retry_policy)
    return GoogleApi(context, session, open_source(Ambient(), context, session))
