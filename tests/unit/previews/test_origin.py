"""Whose preview it is, found with a real git."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from gar_publish.errors import BadInput
from gar_publish.previews import origin
from gar_publish.previews.versions import branch_label
from tests.git import git as run_git

FORTY = "0" * 40


def git(folder: Path, *arguments: str, time: int = 1_795_946_401) -> str:
    return run_git(folder, *arguments, GIT_AUTHOR_DATE=f"@{time - 500} +0100", GIT_COMMITTER_DATE=f"@{time} +0100")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """`main` has two commits, and `topic` one more; `HEAD` is their merge, as GitHub makes it for a pull request."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "-qb", "main")
    git(folder, "commit", "-q", "--allow-empty", "-m", "One")
    git(folder, "switch", "-qc", "topic")
    git(folder, "commit", "-q", "--allow-empty", "-m", "Two")
    git(folder, "switch", "-q", "main")
    git(folder, "commit", "-q", "--allow-empty", "-m", "Three")
    git(folder, "switch", "-q", "--detach")
    git(folder, "merge", "-q", "--no-ff", "-m", "committer of nobody 1 +0000", "topic")
    return folder


def event(checkout: Path, commit: str, *, head: str, base: str = FORTY) -> dict[str, str]:
    file = checkout.parent / "event.json"
    file.write_text(json.dumps({"pull_request": {"number": 42, "head": {"sha": head}, "base": {"sha": base}}}))
    return {
        **os.environ,
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(file),
        "GITHUB_SHA": commit,
        "GITHUB_REF_NAME": "42/merge",
    }


def test_a_pull_request_is_compared_with_the_base_that_is_merged(checkout: Path) -> None:
    commit = git(checkout, "rev-parse", "HEAD")
    found = origin.find(checkout, event(checkout, commit, head=git(checkout, "rev-parse", "topic")))
    assert (found.label, found.commit, found.base) == ("pr42", commit, git(checkout, "rev-parse", "main"))
    assert found.version(Version("1.0.0")) == f"1.0.1.dev1795946401+pr42.g{commit[:7]}"


def test_a_shallow_clone_is_enough(checkout: Path) -> None:
    commit, head = git(checkout, "rev-parse", "HEAD"), git(checkout, "rev-parse", "topic")
    shallow = checkout.parent / "shallow"
    git(checkout, "clone", "-q", "--depth=2", f"file://{checkout}", str(shallow))
    found = origin.find(shallow, event(checkout, commit, head=head))
    assert found == origin.find(checkout, event(checkout, commit, head=head))
    assert found.base
    assert git(shallow, "merge-base", found.base, "HEAD") == found.base


def test_the_head_of_a_pull_request_is_compared_with_the_base_of_the_event(checkout: Path) -> None:
    """The head may be a merge itself."""
    head, base = git(checkout, "rev-parse", "HEAD"), git(checkout, "rev-parse", "main~1")
    assert origin.find(checkout, event(checkout, head, head=head, base=base)).base == base


@pytest.mark.parametrize("name", ["pull_request_review", "pull_request_review_comment"])
def test_a_review_is_an_event_of_its_pull_request(checkout: Path, name: str) -> None:
    environment = event(checkout, git(checkout, "rev-parse", "HEAD"), head=git(checkout, "rev-parse", "topic"))
    found = origin.find(checkout, {**environment, "GITHUB_EVENT_NAME": name})
    assert found == origin.find(checkout, environment)


@pytest.mark.parametrize("name", ["pull_request", "pull_request_review"])
def test_a_closed_pull_request_has_no_previews(checkout: Path, name: str) -> None:
    """It can be reviewed all the same, and nothing would delete them again."""
    environment = event(checkout, "HEAD", head=git(checkout, "rev-parse", "topic"))
    file = Path(environment["GITHUB_EVENT_PATH"])
    file.write_text(file.read_text().replace('"number": 42', '"number": 42, "state": "closed"'))
    with pytest.raises(BadInput, match="pull request 42 is closed"):
        origin.find(checkout, {**environment, "GITHUB_EVENT_NAME": name})


def test_a_commit_may_have_any_date(checkout: Path) -> None:
    git(checkout, "switch", "-q", "topic")
    git(checkout, "commit", "-q", "--allow-empty", "-m", "Late", time=10**15)
    assert origin.find(checkout, os.environ).version(Version("1.0.0")).startswith("1.0.1.dev253402300799+b.topic.")


def test_elsewhere_the_branch_gives_the_name(checkout: Path) -> None:
    git(checkout, "switch", "-q", "topic")
    found = origin.find(checkout, os.environ)
    assert (found.label, found.base) == (branch_label("topic"), None)
    assert found.commit == git(checkout, "rev-parse", "HEAD")
    main = git(checkout, "rev-parse", "main")
    pushed = {**os.environ, "GITHUB_EVENT_NAME": "push", "GITHUB_REF_NAME": "main", "GITHUB_SHA": main}
    found = origin.find(checkout, pushed)
    assert (found.label, found.commit) == (branch_label("main"), main)


def test_refuses_a_checkout_without_a_branch(checkout: Path) -> None:
    with pytest.raises(BadInput, match="no branch is checked out"):
        origin.find(checkout, os.environ)


@pytest.mark.parametrize("name", [FORTY, "--help"])
def test_refuses_a_commit_that_is_not_there(checkout: Path, name: str) -> None:
    with pytest.raises(BadInput, match="is not a checkout that has the commit"):
        origin.find(checkout, {**os.environ, "GITHUB_SHA": name, "GITHUB_REF_NAME": "main"})


@pytest.mark.parametrize("name", ["pull_request_target", "workflow_run"])
def test_refuses_events_of_another_commit(checkout: Path, name: str) -> None:
    with pytest.raises(BadInput, match=f"On the event `{name}`, the commit of a pull request is not known"):
        origin.find(checkout, {**os.environ, "GITHUB_EVENT_NAME": name})


@pytest.mark.parametrize(
    "content",
    [{}, {"pull_request": None}, [], {"pull_request": {"number": 0, "head": {"sha": "a"}, "base": {"sha": "a"}}}],
)
def test_refuses_an_event_without_a_pull_request(checkout: Path, content: Any) -> None:
    commit = git(checkout, "rev-parse", "HEAD")
    environment = event(checkout, commit, head=commit)
    Path(environment["GITHUB_EVENT_PATH"]).write_text(json.dumps(content))
    with pytest.raises(BadInput, match="has no pull request with a number"):
        origin.find(checkout, environment)
    del environment["GITHUB_EVENT_PATH"]
    with pytest.raises(BadInput, match="has no pull request with a number"):
        origin.find(checkout, environment)
