"""Runs a document's workflow, or a fragment of one, as far as it is ours: on this machine, step by step."""

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
    """The jobs of a workflow; or one job around its steps, its settings, or some inputs of gar-publish.

    A job without steps adds to the one of that name in the quick start.
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
    """The actions of others, which run on GitHub alone."""
    used = {step["uses"] for job in jobs.values() for step in job["steps"] if "uses" in step}
    return used - {PUBLISH, SETUP, CHECKOUT}


def run(jobs: Mapping[str, Mapping[str, Any]], *, doors: Doors, shell: Shell, emulator: Emulator, **known: str) -> None:
    """Run the jobs one after the other; steps of others are passed over.

    Args:
        jobs: As GitHub's syntax has them.
        doors: Stand in for the two actions.
        shell: Runs a script with variables on top of its own.
        emulator: Gives each job an identity, if its permissions let it have one.
        known: What expressions come to, by expression.
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
                shell(_filled(step["run"], values), **variables)
            elif step["uses"] in {PUBLISH, SETUP}:
                publishes = step["uses"] == PUBLISH
                done = here.action(_completed(given), variables) if publishes else here.setup(given, variables)
                assert done.code == 0, done.log
                exported |= done.exported
                values |= {f"steps.{step.get('id')}.outputs.{key}": value for key, value in done.outputs.items()}
        for key, value in job.get("outputs", {}).items():
            known[f"needs.{name}.outputs.{key}"] = _filled(value, values)


def _completed(given: dict[str, str]) -> dict[str, str]:
    """The inputs of a fragment, with those that it leaves out: where to, who, and for a promotion where from.

    What would be built is built already, below each package's folder: root's action builds nowhere but in its image.
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
    """A setting as the runner hands it on: YAML's own words for booleans, and what its expressions come to."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return re.sub(r"\$\{\{ (.+?) \}\}", lambda found: values[found[1]], text)
