"""Checks the inputs, and what the runner allows."""

import platform
from collections.abc import Mapping

from gar_publish.doctor import why_name
from gar_publish.doctor.case import Case
from gar_publish.errors import BadInput, CredentialsFailure, Failure
from gar_publish.previews.origin import read_event
from gar_publish.report import ci_files
from gar_publish.settings.credential import read_credential
from gar_publish.settings.index_url import redacted
from gar_publish.settings.inputs import Input
from gar_publish.settings.promotion import read_source
from gar_publish.settings.settings import (
    CREDENTIAL_INPUTS,
    OPTIONS,
    REPOSITORY_INPUTS,
    read_index_token,
    read_repository,
)

REQUEST_VARIABLES = ("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")
_RIGHTS = [OPTIONS[name] for name in ("index-token", "sbom", "provenance", "promote-from")]


def check_inputs(case: Case, facts: list[str]) -> None:
    """Check the inputs that name repositories and credential, and those that need more permissions.

    Raises:
        BadInput: One of them is wrong.
    """
    given = {each: each.text(case.inputs) for each in (*REPOSITORY_INPUTS, *CREDENTIAL_INPUTS, *_RIGHTS)}
    facts += [f"{each.name}: {_shown(each, text)}" for each, text in given.items() if text != each.default]
    try:
        case.repository = read_repository(case.inputs, case.context.endpoints)
    except BadInput as failure:
        raise why_name.explain_repository(failure, case) from None
    try:
        case.credential = read_credential(case.inputs, case.context.environment)
    except BadInput as failure:
        raise why_name.explain_provider(failure, case) from None
    except CredentialsFailure:
        return  # reported by the next check
    case.index_token = read_index_token(case.inputs, case.credential)
    case.evidence = OPTIONS["sbom"].read(case.inputs) | OPTIONS["provenance"].read(case.inputs)
    if source := OPTIONS["promote-from"].read(case.inputs):
        case.promotes_from = read_source(source, case.target, case.context.endpoints)


def check_runner(case: Case, facts: list[str]) -> None:
    """Check that the job may request an identity token, if its inputs need one.

    Raises:
        CredentialsFailure: It may not.
    """
    environment = case.context.environment
    place = _place(environment)
    facts.append(place)
    if event := environment.get("GITHUB_EVENT_NAME"):
        named = (("repository", "GITHUB_REPOSITORY"), ("ref", "GITHUB_REF"), ("workflow", "GITHUB_WORKFLOW_REF"))
        facts += [f"{name} {environment[key]}" for name, key in named if environment.get(key)]
        facts.append(f"event {event}")
    fork = _fork(environment)
    if fork:
        facts.append(f"a pull request from the fork {fork}")
    if all(environment.get(name) for name in REQUEST_VARIABLES):
        facts.append("the job may request identity tokens (id-token: write)")
    elif environment.get("GITHUB_ACTIONS") == "true":
        facts.append("the job may not request identity tokens")
    if case.credential is None:
        try:
            case.credential = read_credential(case.inputs, environment)
        except CredentialsFailure as failure:
            raise _explain_missing_token(failure, environment, place, fork) from None


def _shown(which: Input, value: str) -> str:
    if which.kind == "secret":
        return "set, not shown"
    return redacted(value) if which in (*REPOSITORY_INPUTS, *_RIGHTS) else value  # a URL may contain a password


def _explain_missing_token(failure: Failure, environment: Mapping[str, str], place: str, fork: str) -> Failure:
    fix = failure.fix
    if fork:
        cause = f"the job runs for a pull request from the fork {fork}; GitHub gives such jobs no identity token"
        fix = "publish after the merge, and check with `dry-run: build`\n    on:\n      push:\n        branches: [main]"
    elif environment.get("ACT"):
        cause = "act has no identity tokens"
        fix = "connect the job to `gar-publish emulator`, or pass a token as `access-token`"
    elif environment.get("GITHUB_ACTIONS") == "true":
        cause = "the job lacks the permission `id-token: write`; a reusable workflow needs it in the calling job too"
    else:
        cause = f"this is {place}; only jobs of GitHub Actions have identity tokens"
        fix = (
            "add doctor: true to the step's `with:`; "
            "to check this machine's own login, omit `workload-identity-provider`"
        )
    return failure.because(cause=cause, fix=fix, anchor="id-token-permission")


def _place(environment: Mapping[str, str]) -> str:
    if environment.get("ACT"):
        return "act"
    if environment.get("GITHUB_ACTIONS") == "true":
        kind = environment.get("RUNNER_ENVIRONMENT")
        return f"GitHub Actions, {kind} runner" if kind else "GitHub Actions"
    if environment.get(ci_files.BUILDER_OUTPUT):
        return "Cloud Build"
    return f"a shell on {platform.system()}"


def _fork(environment: Mapping[str, str]) -> str:
    """Return the repository that a pull request comes from, if it is another one."""
    try:
        pull_request = read_event(environment)["pull_request"]
        head, base = (pull_request[side]["repo"]["full_name"] for side in ("head", "base"))
    except (KeyError, TypeError):
        return ""
    return str(head) if head != base else ""
