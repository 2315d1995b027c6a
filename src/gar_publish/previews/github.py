"""GitHub's API: which pull request a workflow run is of, and one comment on a pull request.

https://docs.github.com/en/rest/issues/comments, https://docs.github.com/en/rest/pulls/pulls
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import requests

from gar_publish.context import Context
from gar_publish.errors import BadInput, CredentialsFailure, RegistryRefused
from gar_publish.transport.answers import harmless, json_of
from gar_publish.transport.retry import with_retries
from gar_publish.transport.session import is_success

_PAGE = 100
_PAGES = 30
"""Pages of comments that are searched for the own one."""


class GitHub:
    """GitHub's API for the repository of this workflow.

    Args:
        token: A token for it.
        context: Where the run happens; its environment names the repository and GitHub's addresses.
        session: Makes the requests.

    Raises:
        CredentialsFailure: The token has characters that no token has.
    """

    def __init__(self, token: str, context: Context, session: requests.Session) -> None:
        if not re.fullmatch(r"[\x21-\x7e]+", token):
            raise _not_accepted("it has spaces or other characters that no token has")
        environment = context.environment
        self._context = context
        self._session = session
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"}
        self._api = environment.get("GITHUB_API_URL") or "https://api.github.com"
        self._graphql = environment.get("GITHUB_GRAPHQL_URL") or f"{self._api}/graphql"
        self._repository = f"{self._api}/repos/{environment.get('GITHUB_REPOSITORY', '')}"

    def comment(self, number: int, marker: str, text: str) -> None:
        """Write a comment on a pull request, or edit the one that this token's user wrote with the same marker.

        Args:
            number: The number of the pull request.
            marker: A line that is not shown, an HTML comment, which no other comment of this user has.
            text: The comment, in Markdown.

        Raises:
            CredentialsFailure: The token may not read or write comments.
            RegistryRefused: GitHub refuses a call.
            Unreachable: GitHub does not answer.
        """
        query = {"query": "query { viewer { login } }"}  # GET /user refuses the tokens of workflows and other apps
        answer = self._json("POST", self._graphql, "ask GitHub whose token this is", json=query)
        with _usable("tell whose token this is", answer):
            user = str(answer["data"]["viewer"]["login"])
        body = {"body": f"{marker}\n{text}"}
        what = f"comment on the pull request {number}"
        for each in self._comments(number):
            if each["user"] == user and each["body"].startswith(marker):
                self._json("PATCH", f"{self._repository}/issues/comments/{each['id']}", what, json=body)
                return
        self._json("POST", f"{self._repository}/issues/{number}/comments", what, json=body)

    def pull_request_of(self, run: Mapping[str, Any]) -> int:
        """Return the number of the pull request whose newest commit a workflow run had.

        GitHub leaves the list of pull requests in the event empty for forks.

        Args:
            run: The workflow run, as the event `workflow_run` describes it.

        Raises:
            BadInput: There is none, or more than one.
            Failure: See `comment`.
        """
        fork = run["head_repository"] or {"id": 0, "owner": {"login": "ghost"}}  # it was deleted
        wanted = (run["head_sha"], fork["id"])
        params = {"state": "open", "head": f"{fork['owner']['login']}:{run['head_branch']}", "per_page": str(_PAGE)}
        what = "find the pull request of the run"
        found = self._json("GET", f"{self._repository}/pulls", what, params=params)
        with _usable(what, found):
            numbers = [
                int(each["number"])
                for each in found
                if each["head"]["repo"] and (each["head"]["sha"], each["head"]["repo"]["id"]) == wanted
            ]
        if len(numbers) != 1:
            raise BadInput(
                f"{len(numbers)} open pull requests have {harmless(str(run['head_sha']))[:12]} as their newest commit.",
                cause="the pull request is closed, or has a newer commit, whose own run publishes that"
                if not numbers
                else "the same branch has several pull requests",
                fix="push to the pull request" if not numbers else "close all but one of them, and push again",
                anchor="preview-fork",
            )
        return numbers[0]

    def _comments(self, number: int) -> Iterator[Mapping[str, Any]]:
        """Yield the id, the user and the text of each comment."""
        url, what = f"{self._repository}/issues/{number}/comments", f"read the comments on the pull request {number}"
        for page in range(1, _PAGES + 1):
            listed = self._json("GET", url, what, params={"per_page": str(_PAGE), "page": str(page)})
            with _usable(what, listed):
                # There is no user if the account was deleted.
                users = [(each.get("user") or {}).get("login", "") for each in listed]
                found = [
                    {"id": int(each["id"]), "user": user, "body": str(each.get("body") or "")}
                    for each, user in zip(listed, users, strict=True)
                ]
            yield from found
            if len(listed) < _PAGE:
                return

    def _json(self, method: str, url: str, what: str, **body: Any) -> Any:
        def call() -> requests.Response:
            return self._session.request(method, url, headers=self._headers, **body)

        response = with_retries(call, self._context, what)
        if response.status_code == requests.codes.unauthorized:
            raise _not_accepted("it has expired, or is of another GitHub", _message(response))
        if response.status_code in {requests.codes.forbidden, requests.codes.not_found}:
            raise CredentialsFailure(
                f"`github-token` may not {what} (HTTP {response.status_code}).",
                cause="the job lacks the permission, as the jobs of a pull request of a fork always do",
                fix="add `pull-requests: write` to the job's `permissions`",
                anchor="github-token",
                detail=_message(response),
            )
        answer = json_of(response)
        if not is_success(response) or answer is None:
            raise _refused(what, response.status_code, _message(response))
        return answer


def _not_accepted(cause: str, detail: str = "") -> CredentialsFailure:
    return CredentialsFailure(
        "`github-token` is no token that GitHub accepts.",
        cause=cause,
        fix="set `github-token` to the token of the job: ${{ github.token }}",
        anchor="github-token",
        detail=detail,
    )


@contextmanager
def _usable(what: str, answer: object) -> Iterator[None]:
    """Refuse an answer that the block cannot read: a proxy may send any JSON."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _refused(what, 200, str(answer)) from None


def _message(response: requests.Response) -> str:
    try:
        return harmless(str(json_of(response)["message"]))
    except (KeyError, TypeError):
        return ""


def _refused(what: str, status: int, detail: str) -> RegistryRefused:
    return RegistryRefused(
        f"GitHub's answer to the request to {what} cannot be used (HTTP {status}).",
        fix="run again later; https://www.githubstatus.com shows outages",
        anchor="github-token",
        detail=harmless(detail),
    )
