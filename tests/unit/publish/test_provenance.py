import json
import os
from pathlib import Path
from typing import Any

import pytest

from gar_publish.context import Context, RetryPolicy
from gar_publish.distributions import distribution
from gar_publish.errors import EVIDENCE_DOCS
from gar_publish.publish import provenance
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.settings import Settings
from tests.conftest import ROOT
from tests.git import commit, git
from tests.unit.servers import Memory
from tests.unit.test_docs import headings
from tests.wheels import make_wheel


def stated(workspace: Path, *, packages: str = "a\nb", dist: str = "", **more: str) -> dict[str, Any]:
    """The statement of a run in a workspace about two wheels."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(workspace.parent), **more}
    inputs = {"repository": "us/demo-project/python", "packages": packages, "dist": dist}
    settings = Settings.from_inputs(inputs, environment=environment, endpoints=Endpoints())
    context = Context(workspace, environment, Endpoints(), Memory(), RetryPolicy())
    files = [distribution.read(make_wheel(workspace / "dist", name)) for name in ("b", "a")]
    text = provenance.statement(files, settings, context)
    assert text == provenance.statement(reversed(files), settings, context), "the same run says the same"
    statement: dict[str, Any] = json.loads(text)
    names = {each["name"]: each["digest"]["sha256"] for each in statement["subject"]}
    assert names == {file.filename: file.sha256 for file in files}
    return statement


def test_a_machine_without_git_says_what_was_asked(tmp_path: Path) -> None:
    definition = stated(tmp_path)["predicate"]["buildDefinition"]
    assert definition["externalParameters"] == {"repository": "us/demo-project/python", "packages": ["a", "b"]}
    assert definition["resolvedDependencies"] == []


def test_a_checkout_says_its_commit_and_whether_it_differs(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("before")
    commit(tmp_path)
    git(tmp_path, "remote", "add", "origin", "https://octocat:made-up-secret@github.com/octo-org/hello")
    checkout = {"name": "checkout", "digest": {"gitCommit": git(tmp_path, "rev-parse", "HEAD")}}
    for differs in (False, True):
        if differs:
            (tmp_path / "file").write_text("after")
        found = stated(tmp_path)["predicate"]["buildDefinition"]["resolvedDependencies"]
        assert found == [{**checkout, "annotations": {"differs": differs}}]


def test_a_job_on_github_names_the_files_that_it_was_given(tmp_path: Path) -> None:
    workflow = "octo-org/hello/.github/workflows/publish.yml@refs/tags/v1"
    predicate = stated(tmp_path, packages="", dist="dist/*.whl", GITHUB_WORKFLOW_REF=workflow)["predicate"]
    assert predicate["buildDefinition"]["internalParameters"]["gar-publish"] == {"dist": ["dist/*.whl"]}


@pytest.mark.parametrize(("variables", "place"), [({}, "another-machine"), ({"BUILDER_OUTPUT": "/o"}, "cloud-build")])
def test_addresses_lead_to_what_they_mean(tmp_path: Path, variables: dict[str, str], place: str) -> None:
    predicate = stated(tmp_path, **variables)["predicate"]
    builder, kind = predicate["runDetails"]["builder"]["id"], predicate["buildDefinition"]["buildType"]
    assert builder == f"{EVIDENCE_DOCS}#{place}"
    assert {builder.partition("#")[2], kind.partition("#")[2]} <= headings(ROOT / "docs" / "evidence.md")


def test_a_workflow_names_its_run_commit_and_builder(tmp_path: Path) -> None:
    workflow = "octo-org/hello/.github/workflows/publish.yml@refs/tags/v1"
    job = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "push",
        "GITHUB_REF": "refs/tags/v1",
        "GITHUB_REPOSITORY": "octo-org/hello",
        "GITHUB_REPOSITORY_ID": "11",
        "GITHUB_REPOSITORY_OWNER_ID": "22",
        "GITHUB_RUN_ATTEMPT": "3",
        "GITHUB_RUN_ID": "44",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_SHA": "c0ffee",
        "GITHUB_WORKFLOW_REF": workflow,
        "RUNNER_ENVIRONMENT": "github-hosted",
    }
    repository = "https://github.com/octo-org/hello"
    predicate = stated(tmp_path, **job)["predicate"]
    version = predicate["runDetails"]["builder"].pop("version")
    assert list(version) == ["gar-publish"]
    assert predicate == {
        "buildDefinition": {
            "buildType": provenance.GITHUB_WORKFLOW,
            "externalParameters": {
                "workflow": {"ref": "refs/tags/v1", "repository": repository, "path": ".github/workflows/publish.yml"}
            },
            "internalParameters": {
                "github": {
                    "event_name": "push",
                    "repository_id": "11",
                    "repository_owner_id": "22",
                    "runner_environment": "github-hosted",
                }
            },
            "resolvedDependencies": [{"uri": f"git+{repository}@refs/tags/v1", "digest": {"gitCommit": "c0ffee"}}],
        },
        "runDetails": {
            "builder": {"id": f"https://github.com/{workflow}"},
            "metadata": {"invocationId": f"{repository}/actions/runs/44/attempts/3"},
        },
    }
