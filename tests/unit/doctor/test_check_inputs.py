import json
from pathlib import Path

import pytest

from gar_publish.doctor import Link
from tests.unit.doctor.conftest import PROVIDER, Examine

FEDERATED = {"access-token": "", "workload-identity-provider": PROVIDER}
JOB = {"ACTIONS_ID_TOKEN_REQUEST_URL": "https://pipelines.example.com/idtoken", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "x"}


def runner(links: tuple[Link, ...]) -> Link:
    return next(link for link in links if link.name == "runner")


@pytest.mark.parametrize(
    ("environment", "place"),
    [
        ({"GITHUB_ACTIONS": "true", "RUNNER_ENVIRONMENT": "self-hosted"}, "GitHub Actions, self-hosted runner"),
        ({"GITHUB_ACTIONS": "true"}, "GitHub Actions"),
        ({"GITHUB_ACTIONS": "true", "ACT": "true"}, "act"),
        ({"BUILDER_OUTPUT": "/builder/outputs"}, "Cloud Build"),
        ({}, "a shell on "),
    ],
)
def test_says_where_it_runs(look: Examine, environment: dict[str, str], place: str) -> None:
    link = runner(look(environment=environment).links)
    assert link.state == "ok"
    assert link.facts[0].startswith(place)


@pytest.mark.parametrize(
    ("environment", "cause"),
    [
        ({"GITHUB_ACTIONS": "true"}, "the job lacks the permission"),
        ({"GITHUB_ACTIONS": "true", "ACT": "true"}, "act has no identity tokens"),
        ({}, "only jobs of GitHub Actions have identity tokens"),
    ],
)
def test_explains_why_there_is_no_identity_token(look: Examine, environment: dict[str, str], cause: str) -> None:
    found = look(FEDERATED, environment)
    assert found.broken == runner(found.links)
    assert found.broken.failure
    assert cause in found.broken.failure.cause
    assert found.exit_code == 3


def test_a_pull_request_of_the_same_repository_is_no_fork(look: Examine, tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    sides = {side: {"repo": {"full_name": "octo-org/hello"}} for side in ("head", "base")}
    event.write_text(json.dumps({"pull_request": sides}))
    found = look(FEDERATED, {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_PATH": str(event)})
    assert found.broken
    assert found.broken.failure
    assert "fork" not in found.broken.failure.cause


def test_shows_no_secret_input(look: Examine) -> None:
    facts = look().links[0].facts
    assert facts == ("repository: us-central1/demo-project/python", "access-token: set, not shown")


@pytest.mark.parametrize(
    "repository", ["https://me:made-up@pypi.example.com/x", "https://me:made/up@pypi.example.com/x"]
)
def test_shows_a_url_without_its_password(look: Examine, repository: str) -> None:
    found = look({"repository": repository})
    assert found.links[0].facts[0] == "repository: https://pypi.example.com/x"
    assert found.exit_code == 2


@pytest.mark.parametrize(
    ("given", "anchor"),
    [
        ({"index-token": "read-write"}, "choices"),
        ({"index-token": "read-only"}, "index-token"),
        ({"sbom": "yes"}, "booleans"),
        ({"provenance": "yes"}, "booleans"),
        ({"promote-from": "a/b"}, "repository-form"),
    ],
)
def test_checks_the_inputs_that_the_chain_depends_on(look: Examine, given: dict[str, str], anchor: str) -> None:
    found = look(given)
    assert found.broken == found.links[0]
    assert found.broken.failure
    assert (found.broken.failure.anchor, found.exit_code) == (anchor, 2)


def test_shows_the_inputs_that_change_the_chain(look: Examine) -> None:
    changed = {"index-token": "none", "sbom": "true", "promote-from": "us-central1/demo-project/dev"}
    facts = look({**changed, "provenance": "false", "packages": "hello==1.0"}).links[0].facts
    assert facts[2:] == tuple(f"{name}: {value}" for name, value in changed.items())
