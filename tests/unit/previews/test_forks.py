"""What a workflow run with rights publishes of what a stranger's pull request has built."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gar_publish.errors import BadInput, BuildFailure
from gar_publish.previews import forks, stamp
from tests.wheels import make_wheel

COMMIT = "abc1234" + "0" * 33
RUN: dict[str, Any] = {
    "event": "pull_request",
    "conclusion": "success",
    "head_sha": COMMIT,
    "head_commit": {"timestamp": "2026-11-29T10:00:01Z"},
    "pull_requests": [{"number": 42, "head": {"sha": COMMIT}, "base": {"repo": {"id": 7}}}],
}
REPOSITORY = {"id": 7}
NAMES = frozenset({"greetings", "welcome"})


def event(**change: Any) -> dict[str, Any]:
    return {"workflow_run": {**RUN, **change}, "repository": REPOSITORY}


def test_the_event_decides_whose_preview_it_is() -> None:
    preview = forks.find(event(), None)
    assert (preview.label, preview.commit, preview.base) == ("pr42", COMMIT, None)
    assert preview.committed_at == datetime(2026, 11, 29, 10, 0, 1, tzinfo=UTC)


def test_a_pull_request_in_another_repository_does_not_count() -> None:
    """A fork can have pull requests of this repository's branches."""
    theirs = {"number": 1, "head": {"sha": COMMIT}, "base": {"repo": {"id": 8}}}
    assert forks.find(event(pull_requests=[theirs, *RUN["pull_requests"]]), None).label == "pr42"
    with pytest.raises(BadInput, match="number of the pull request is not known"):
        forks.find(event(pull_requests=[theirs]), None)


@pytest.mark.parametrize(
    "timestamp", [None, "", "yesterday", "10000-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "1969-12-31T23:59:59Z"]
)
def test_refuses_a_commit_without_a_usable_date(timestamp: str | None) -> None:
    with pytest.raises(BadInput, match="a preview needs one after 1970"):
        forks.find(event(head_commit={"timestamp": timestamp}), None)
    with pytest.raises(BadInput, match="a preview needs one after 1970"):
        forks.find(event(head_commit=None), None)


@pytest.mark.parametrize(
    "change", [{"event": "push"}, {"event": "schedule"}, {"conclusion": "failure"}, {"conclusion": None}]
)
def test_only_a_pull_requests_run_that_succeeded(change: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="not one of a pull request that has succeeded"):
        forks.find(event(**change), None)


@pytest.mark.parametrize("listed", [[], [{"number": 42, "head": {"sha": "older"}, "base": {"repo": {"id": 7}}}]])
def test_without_a_number_in_the_event_a_token_is_needed(listed: list[Any]) -> None:
    with pytest.raises(BadInput, match="number of the pull request is not known"):
        forks.find(event(pull_requests=listed), None)


def test_names_are_normalised() -> None:
    assert forks.read_names(["Greetings", "my_pkg"]) == {"greetings", "my-pkg"}


@pytest.mark.parametrize("packages", [["."], ["packages/*"], ["greetings", "../x"], ["greetings==1.0"]])
def test_folders_are_no_names(packages: list[str]) -> None:
    with pytest.raises(BadInput, match="must list the names"):
        forks.read_names(packages)


def test_accepts_wheels_of_listed_packages(tmp_path: Path) -> None:
    forks.check_files([make_wheel(tmp_path, "greetings"), make_wheel(tmp_path, "welcome", "9.0")], NAMES)


@pytest.mark.parametrize("name", ["requests", "greetings-x", "g", "greet"])
def test_refuses_other_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(BuildFailure, match="which `packages` does not list"):
        forks.check_files([make_wheel(tmp_path, "greetings"), make_wheel(tmp_path, name)], NAMES)


def test_refuses_links_and_folders(tmp_path: Path) -> None:
    real = make_wheel(tmp_path / "elsewhere", "greetings")
    link = tmp_path / real.name
    link.symlink_to(real)
    with pytest.raises(BuildFailure, match="not a regular file"):
        forks.check_files([link], NAMES)
    link.unlink()
    link.mkdir()
    with pytest.raises(BuildFailure, match="not a regular file"):
        forks.check_files([link], NAMES)


def test_refuses_too_many_or_too_large_files(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "greetings")
    with pytest.raises(BuildFailure, match="at most 500 are published"):
        forks.check_files([wheel] * 501, NAMES)
    with wheel.open("r+b") as file:
        file.truncate(600 * 1024**2)  # sparse
    with pytest.raises(BuildFailure, match="at most 1,073,741,824 are published"):
        forks.check_files([wheel] * 2, NAMES)


def test_refuses_too_many_metadata(tmp_path: Path) -> None:
    requires = [f"package-{number}" for number in range(60_000)]
    wheel = stamp.read(make_wheel(tmp_path, "greetings", requires=requires))
    most = forks.MOST_METADATA // len(wheel.metadata)
    assert most > 10
    assert len(list(forks.bounded([wheel] * most))) == most
    with pytest.raises(BuildFailure, match="more than 33,554,432 bytes of metadata"):
        list(forks.bounded([wheel] * (most + 1)))
