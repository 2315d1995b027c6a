"""Makes the provenance of a run's files: an unsigned in-toto statement with SLSA provenance.

See https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md and https://slsa.dev/spec/v1.0/provenance.
It is only as trustworthy as the identities that may write to the repository. It has no time stamp, so a repeated run
makes an identical statement.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from gar_publish import __version__
from gar_publish.context import Context
from gar_publish.distributions.distribution import Distribution
from gar_publish.errors import EVIDENCE_DOCS
from gar_publish.projects.git import checked_out
from gar_publish.report import ci_files
from gar_publish.settings.settings import Settings

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
GITHUB_WORKFLOW = "https://actions.github.io/buildtypes/workflow/v1"
"""https://github.com/actions/buildtypes/tree/main/workflow/v1"""

_VERSION = {"gar-publish": __version__}


def statement(files: Iterable[Distribution], settings: Settings, context: Context) -> bytes:
    """Return the statement of a run about its files.

    Args:
        files: The files that the run built or was given.
        settings: The inputs.
        context: Where the run happens, which the statement describes.
    """
    digests = {each.filename: each.sha256 for each in files}
    in_workflow = "GITHUB_WORKFLOW_REF" in context.environment
    body = {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": digests[name]}} for name in sorted(digests)],
        "predicateType": PREDICATE,
        "predicate": _of_workflow(settings, context.environment) if in_workflow else _of_machine(settings, context),
    }
    return f"{json.dumps(body, indent=2)}\n".encode()


def _of_workflow(settings: Settings, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return a predicate like that of GitHub's own attestations, with the input `dist` if the run built nothing.

    https://docs.github.com/en/actions/reference/workflows-and-actions/variables
    """
    get = defaultdict(str, environment)
    repository = f"{get['GITHUB_SERVER_URL']}/{get['GITHUB_REPOSITORY']}"
    path = get["GITHUB_WORKFLOW_REF"].removeprefix(f"{get['GITHUB_REPOSITORY']}/").partition("@")[0]
    return {
        "buildDefinition": {
            "buildType": GITHUB_WORKFLOW,
            "externalParameters": {
                "workflow": {"ref": get["GITHUB_REF"], "repository": repository, "path": path},
            },
            "internalParameters": {
                **({"gar-publish": {"dist": list(settings.dist)}} if settings.dist else {}),
                "github": {
                    "event_name": get["GITHUB_EVENT_NAME"],
                    "repository_id": get["GITHUB_REPOSITORY_ID"],
                    "repository_owner_id": get["GITHUB_REPOSITORY_OWNER_ID"],
                    "runner_environment": get["RUNNER_ENVIRONMENT"],
                },
            },
            "resolvedDependencies": [
                {"uri": f"git+{repository}@{get['GITHUB_REF']}", "digest": {"gitCommit": get["GITHUB_SHA"]}}
            ],
        },
        "runDetails": {
            "builder": {"id": f"{get['GITHUB_SERVER_URL']}/{get['GITHUB_WORKFLOW_REF']}", "version": _VERSION},
            "metadata": {
                "invocationId": f"{repository}/actions/runs/{get['GITHUB_RUN_ID']}/attempts/{get['GITHUB_RUN_ATTEMPT']}"
            },
        },
    }


def _of_machine(settings: Settings, context: Context) -> dict[str, Any]:
    """Return a predicate with what is known on any machine: the inputs, and the commit that is checked out."""
    given = {"dist": list(settings.dist)} if settings.dist else {"packages": list(settings.packages)}
    checkout = checked_out(context.workspace, context.environment)
    builder = "cloud-build" if ci_files.BUILDER_OUTPUT in context.environment else "another-machine"
    return {
        "buildDefinition": {
            "buildType": f"{EVIDENCE_DOCS}#a-run-of-gar-publish",
            "externalParameters": {"repository": str(settings.repository), **given},
            "resolvedDependencies": [_dependency(*checkout)] if checkout else [],
        },
        "runDetails": {"builder": {"id": f"{EVIDENCE_DOCS}#{builder}", "version": _VERSION}},
    }


def _dependency(commit: str, differs: bool) -> dict[str, Any]:  # noqa: FBT001 - unpacked from a tuple
    """Return the checkout without its remote, whose URL may contain a password."""
    return {"name": "checkout", "digest": {"gitCommit": commit}, "annotations": {"differs": differs}}
