"""One comment on a pull request, and the pull request of a workflow run."""

from dataclasses import replace
from typing import Any

import pytest
import requests

from gar_publish.context import Context
from gar_publish.errors import BadInput, CredentialsFailure, Failure, RegistryRefused
from gar_publish.previews.github import GitHub
from tests.github_api import BOT, TOKEN, GitHubApi, at
from tests.unit.servers import Reply, ScriptedServer

MARKER = "<!-- gar-publish preview us/p/previews -->"
HEAD: dict[str, Any] = {"sha": "abc1234", "repo": {"id": 7}}
RUN: dict[str, Any] = {
    "head_sha": "abc1234",
    "head_branch": "fix & more",
    "head_repository": {"id": 7, "owner": {"login": "stranger"}},
}


@pytest.fixture
def api(server: ScriptedServer) -> GitHubApi:
    return at(server)


@pytest.fixture
def github(api: GitHubApi, context: Context, session: requests.Session) -> GitHub:
    return GitHub(TOKEN, replace(context, environment=api.environment), session)


@pytest.mark.parametrize("token", ["caf\u00e9", "two\nlines", "expired"])
def test_a_token_that_is_none(token: str, api: GitHubApi, context: Context, session: requests.Session) -> None:
    with pytest.raises(CredentialsFailure, match="`github-token` is no token that GitHub accepts"):
        GitHub(token, replace(context, environment=api.environment), session).comment(42, MARKER, "hello")


def test_writes_one_comment_and_edits_it(github: GitHub, api: GitHubApi) -> None:
    for text in ("first", "second"):
        github.comment(42, MARKER, text)
    assert [each["body"] for each in api.comments[42]] == [f"{MARKER}\nsecond"]
    assert api.written == ["POST", "PATCH"]


def test_edits_no_comment_of_anyone_else(github: GitHub, api: GitHubApi) -> None:
    others = [("octocat", MARKER), ("github-actions", MARKER), (None, MARKER), (BOT, f"quoted: {MARKER}")]
    others += [("octocat", "hello")] * 150
    for user, body in others:
        api.add(42, user, body)
    github.comment(42, MARKER, "ours")
    github.comment(42, MARKER, "edited")
    assert [(each["user"] and each["user"]["login"], each["body"]) for each in api.comments[42]] == [
        *others,
        (BOT, f"{MARKER}\nedited"),
    ]


def test_knows_the_user_of_another_app(github: GitHub, api: GitHubApi) -> None:
    api.user = "my-app[bot]"
    api.add(42, BOT, MARKER)
    for text in ("first", "second"):
        github.comment(42, MARKER, text)
    assert [each["body"] for each in api.comments[42]] == [MARKER, f"{MARKER}\nsecond"]


def test_says_which_permission_is_missing(github: GitHub, api: GitHubApi) -> None:
    api.may_write = False
    with pytest.raises(CredentialsFailure, match="may not comment on the pull request 42") as caught:
        github.comment(42, MARKER, "text")
    assert caught.value.fix == "add `pull-requests: write` to the job's `permissions`"
    assert caught.value.detail == "Resource not accessible by integration"


@pytest.mark.parametrize("body", ["{}", "[]", "<html>", '{"data": null}', "[" * 100_000])
def test_an_answer_that_is_none(server: ScriptedServer, github: GitHub, body: str) -> None:
    server.on("/graphql", Reply(200, body))
    with pytest.raises(RegistryRefused, match="cannot be used"):
        github.comment(42, MARKER, "text")


@pytest.mark.parametrize("body", ['{"a": 1}', "[1]", "[{}]", "null", '"text"'])
def test_lists_that_are_none(server: ScriptedServer, github: GitHub, body: str) -> None:
    server.on("/repos", Reply(200, body))
    with pytest.raises(RegistryRefused, match="read the comments on the pull request 42 cannot be used"):
        github.comment(42, MARKER, "text")
    with pytest.raises(RegistryRefused, match="find the pull request of the run cannot be used"):
        github.pull_request_of(RUN)


def test_finds_the_pull_request_of_a_run(server: ScriptedServer, github: GitHub, api: GitHubApi) -> None:
    api.pulls = [
        {"number": 41, "head": {**HEAD, "sha": "def5678"}},
        {"number": 42, "head": HEAD},
        {"number": 43, "head": {**HEAD, "repo": {"id": 8}}},
        {"number": 44, "head": {**HEAD, "repo": None}},
    ]
    assert github.pull_request_of(RUN) == 42
    assert server.seen[-1].query["head"] == ["stranger:fix & more"]


@pytest.mark.parametrize("numbers", [[], [42, 43]])
def test_refuses_a_run_without_exactly_one_pull_request(github: GitHub, api: GitHubApi, numbers: list[int]) -> None:
    api.pulls = [{"number": number, "head": HEAD} for number in numbers]
    with pytest.raises(BadInput, match=f"{len(numbers)} open pull requests"):
        github.pull_request_of(RUN)


def test_a_fork_that_was_deleted_has_no_pull_request(github: GitHub, api: GitHubApi) -> None:
    api.pulls = [{"number": 42, "head": {**HEAD, "repo": None}}]
    with pytest.raises(BadInput, match="0 open pull requests"):
        github.pull_request_of({**RUN, "head_repository": None})


def test_no_message_has_the_token(github: GitHub, server: ScriptedServer) -> None:
    server.on("/", Reply(422, f'{{"message": "Bearer {TOKEN}"}}'))
    with pytest.raises(Failure) as caught:
        github.comment(42, MARKER, "text")
    assert TOKEN not in caught.value.explain()
