"""The first two links: what was asked, and where it runs."""

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gar_publish.doctor import why_name
from gar_publish.doctor.case import Case, NotChecked
from gar_publish.doctor.mending import mended
from gar_publish.errors import BadInput, CredentialsFailure, Failure
from gar_publish.report import ci_files
from gar_publish.settings.credential import read_credential
from gar_publish.settings.index_url import shown
from gar_publish.settings.inputs import CREDENTIAL_INPUTS, INPUTS, REPOSITORY_INPUTS, Input, Reader
from gar_publish.settings.promotion import read_promotion
from gar_publish.settings.settings import read_index_token, read_repository

REQUEST_VARIABLES = ("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")
_RIGHTS = [each for each in INPUTS if each.name in {"index-token", "promote-from", "sbom", "provenance"}]
_PERMISSION = "add to the job\n    permissions:\n      contents: read\n      id-token: write"


def check_inputs(case: Case, facts: list[str]) -> None:
    """Whether repositories, credential, and what else decides about rights can be understood.

    Raises:
        BadInput: One of them cannot.
    """
    given = Reader(case.inputs)
    told = [each for each in (*REPOSITORY_INPUTS, *CREDENTIAL_INPUTS, *_RIGHTS) if not given.is_default(each.name)]
    facts += [f"{each.name}: {_shown(each, given.text(each.name))}" for each in told]
    try:
        case.repository = read_repository(case.inputs, case.context.endpoints)
    except BadInput as failure:
        raise why_name.repository(failure, case) from None
    try:
        case.credential = read_credential(case.inputs, case.context.environment)
    except BadInput as failure:
        raise why_name.provider(failure, case) from None
    except CredentialsFailure:
        return  # the next link tells
    case.index_token = read_index_token(case.inputs, case.credential)
    case.evidence = given.flag("sbom") | given.flag("provenance")
    if source := given.text("promote-from"):
        # Which versions are promoted is no matter here.
        promotion = read_promotion({"promote-from": source, "packages": "any==1"}, case.target, case.context.endpoints)
        case.promotes_from = promotion.source


def check_runner(case: Case, facts: list[str]) -> None:
    """Whether the job may have what its inputs ask for.

    Raises:
        CredentialsFailure: It may not ask for identity tokens.
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
        facts.append("the job may ask for identity tokens (id-token: write)")
    elif environment.get("GITHUB_ACTIONS") == "true":
        facts.append("the job may not ask for identity tokens")
    if case.credential is None:
        raise _no_identity_token(case, place, fork)


def _shown(which: Input, value: str) -> str:
    if which.kind == "secret":
        return "given, not shown"
    return shown(value) if which in (*REPOSITORY_INPUTS, *_RIGHTS) else value  # a URL may hold a password


def _no_identity_token(case: Case, place: str, fork: str) -> Failure:
    environment = case.context.environment
    try:
        read_credential(case.inputs, environment)
    except CredentialsFailure as failure:
        if fork:
            return mended(
                failure,
                cause=f"it runs for a pull request from the fork {fork}, whose jobs GitHub gives no identity token",
                fix="publish when the change is merged\n    on:\n      push:\n        branches: [main]",
                anchor="id-token-permission",
            )
        if environment.get("ACT"):
            return mended(
                failure,
                cause="act has no identity tokens",
                fix="under act, connect the job to `gar-publish emulator`, or set `access-token`",
                anchor="id-token-permission",
            )
        if environment.get("GITHUB_ACTIONS") == "true":
            return mended(
                failure,
                cause="the job lacks the permission `id-token: write`; a reusable workflow needs it in the calling "
                "job as well",
                fix=_PERMISSION,
                anchor="id-token-permission",
            )
        return mended(
            failure,
            cause=f"this is {place}; only a job of GitHub Actions has an identity token",
            fix="examine that job itself, with `doctor: true`; here, leave out `workload-identity-provider`, and this "
            "machine's own login is examined",
            anchor="id-token-permission",
        )
    raise NotChecked("no credential to check")


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
    """The repository that a pull request comes from, where it is another one.

    https://docs.github.com/en/webhooks/webhook-events-and-payloads#pull_request
    """
    try:
        event: Any = json.loads(Path(environment.get("GITHUB_EVENT_PATH", "")).read_text("utf-8"))
        head = event["pull_request"]["head"]["repo"]["full_name"]
        base = event["pull_request"]["base"]["repo"]["full_name"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""
    return str(head) if head != base else ""
