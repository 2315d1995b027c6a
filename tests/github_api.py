"""A stand-in for GitHub's API: the comments on pull requests, and the open pull requests of one repository."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.unit.servers import Reply, ScriptedServer, Seen, serve

REPOSITORY = "octo-org/hello"
BOT = "github-actions[bot]"
TOKEN = "ghs_" + "a1B2" * 9


@dataclass
class GitHubApi:
    """The API, with one token.

    Attributes:
        url: Its address.
        comments: The comments, by pull request.
        pulls: The open pull requests.
        user: Whose the token is.
        may_write: Whether the token may write comments.
        written: The method of each call that wrote a comment.
    """

    url: str
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    pulls: list[dict[str, Any]] = field(default_factory=list)
    user: str = BOT
    may_write: bool = True
    written: list[str] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "GITHUB_API_URL": self.url,
            "GITHUB_GRAPHQL_URL": f"{self.url}/graphql",
            "GITHUB_REPOSITORY": REPOSITORY,
        }

    def add(self, number: int, user: str | None, body: str) -> dict[str, Any]:
        listed = self.comments.setdefault(number, [])
        made = {"id": 1000 * number + len(listed), "user": user and {"login": user}, "body": body}
        listed.append(made)
        return made

    def answer(self, seen: Seen) -> Reply:  # noqa: PLR0911 - one for each call
        if seen.headers["Authorization"] != f"Bearer {TOKEN}":
            return _reply(401, {"message": "Bad credentials"})
        path = seen.path.partition("?")[0]
        if path == "/graphql":
            return _reply(200, {"data": {"viewer": {"login": self.user}}})
        if path == f"/repos/{REPOSITORY}/pulls":
            return _reply(200, self.pulls)
        if seen.method != "GET" and not self.may_write:
            return _reply(403, {"message": "Resource not accessible by integration"})
        if found := re.fullmatch(rf"/repos/{REPOSITORY}/issues/(\d+)/comments", path):
            number = int(found[1])
            if seen.method == "POST":
                self.written.append("POST")
                return _reply(201, self.add(number, self.user, json.loads(seen.body)["body"]))
            page, size = (int(seen.query[name][0]) for name in ("page", "per_page"))
            return _reply(200, self.comments.get(number, [])[(page - 1) * size : page * size])
        if found := re.fullmatch(rf"/repos/{REPOSITORY}/issues/comments/(\d+)", path):
            (one,) = (each for listed in self.comments.values() for each in listed if each["id"] == int(found[1]))
            one["body"] = json.loads(seen.body)["body"]
            self.written.append("PATCH")
            return _reply(200, one)
        return _reply(404, {"message": "Not Found"})


def _reply(status: int, body: object) -> Reply:
    return Reply(status, json.dumps(body), {"Content-Type": "application/json"})


@contextmanager
def github_api() -> Iterator[GitHubApi]:
    """Run a stand-in while the context is open."""
    with serve() as server:
        yield at(server)


def at(server: ScriptedServer) -> GitHubApi:
    """Let a server answer as GitHub's API does."""
    api = GitHubApi(server.url)
    server.on("/", api.answer)
    return api
