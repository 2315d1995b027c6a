"""Run the workflows of the documents, complete or in part, on this machine. Other projects' actions are skipped."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from gar_emulator import Emulator
from tests.integration.frontdoors import PROVIDER, Doors

REPOSITORY = "us-central1/my-project/python"
PUBLISH = "org/gar-publish@v1"
SETUP = "org/gar-publish/setup@v1"
CHECKOUT = "actions/checkout@v5"
IDENTITY = {"contents": "read", "id-token": "write"}

Shell = Callable[..., str]


def as_jobs(fragment: Any, quick_start: Any) -> dict[str, dict[str, Any]]:
    """Return the jobs of a workflow, or make one job from steps, job settings, or inputs of gar-publish.

    A job without steps extends the job with the same name in the quick start.
    """
    publish: dict[str, Any] = {"uses": PUBLISH}
    match fragment:
        case {"jobs": dict(jobs)}:
            return {name: job if "steps" in job else quick_start["jobs"][name] | job for name, job in jobs.items()}
        case [*steps]:
            return {"job": {"permissions": IDENTITY, "steps": steps}}
        case {"steps": _}:
            return {"job": fragment}
        case {"permissions": _} | {"env": _}:
            return {"job": {"permissions": IDENTITY, **fragment, "steps": [publish]}}
        case _:
            publish["with"] = dict(fragment)
            return {"job": {"permissions": IDENTITY, "steps": [publish]}}


def others(jobs: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Return the actions of other projects, which only run on GitHub."""
    used = {step["uses"] for job in jobs.values() for step in job["steps"] if "uses" in step}
    return used - {PUBLISH, SETUP, CHECKOUT}


def run(jobs: Mapping[str, Mapping[str, Any]], *, doors: Doors, shell: Shell, emulator: Emulator, **known: str) -> None:
    """Run the jobs one after the other. Steps with actions of other projects are skipped.

    Args:
        jobs: The jobs in GitHub's syntax.
        doors: Runs the two actions.
        shell: Runs a script with additional variables.
        emulator: Gives each job an identity, if it has the permission `id-token: write`.
        known: The value of each expression.
    """
    for name, job in jobs.items():
        identity = emulator.job(repository="octo-org/hello") if job["permissions"].get("id-token") == "write" else {}
        here = replace(doors, environment={**doors.environment, **job.get("env", {}), **identity})
        exported: dict[str, str] = {}
        values = dict(known)
        for step in job["steps"]:
            given = {key: _filled(value, values) for key, value in step.get("with", {}).items()}
            variables = exported | {key: _filled(value, values) for key, value in step.get("env", {}).items()}
            if "run" in step:
                shell(_filled(step["run"], values), **identity, **variables)
            elif step["uses"] in {PUBLISH, SETUP}:
                publishes = step["uses"] == PUBLISH
                done = here.action(_completed(given), variables) if publishes else here.setup(given, variables)
                assert done.code == 0, done.log
                exported |= done.exported
                values |= {f"steps.{step.get('id')}.outputs.{key}": value for key, value in done.outputs.items()}
        for key, value in job.get("outputs", {}).items():
            known[f"needs.{name}.outputs.{key}"] = _filled(value, values)


def _completed(given: dict[str, str]) -> dict[str, str]:
    """Add the inputs that a fragment leaves out: the repository, the credential, and the source of a promotion.

    Packages are replaced by the wheels in their folders, because as root, the action builds only in its image.
    """
    promoted = "==" in given.get("packages", "")
    if promoted:
        given = {"promote-from": "us-central1/my-project/dev", "repository": "us-central1/my-project/prod", **given}
    elif "dist" not in given:
        given = given | {"dist": "\n".join(f"{folder}/dist/*.whl" for folder in given.pop("packages", ".").split())}
    if not given.keys() & {"credentials-json", "access-token"}:
        given = {"workload-identity-provider": PROVIDER, **given}
    return {"repository": REPOSITORY, **given}


def _filled(value: Any, values: Mapping[str, str]) -> str:
    """Return a value as the runner passes it on: booleans in lower case, and expressions replaced."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return re.sub(r"\$\{\{ (.+?) \}\}", lambda found: values[found[1]], text)
