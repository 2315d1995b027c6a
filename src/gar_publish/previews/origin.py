"""Whose preview a run makes, of which commit, and what has changed there."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from packaging.version import Version

from gar_publish.errors import BadInput
from gar_publish.previews.versions import branch_label, preview_version, pull_request_label
from gar_publish.projects import git

_PULL_REQUEST = ("pull_request", "pull_request_review", "pull_request_review_comment")
"""Events whose GITHUB_SHA is the merge of a pull request."""

_WITHOUT_COMMIT = ("pull_request_target", "workflow_run")
"""Events whose GITHUB_SHA is a commit of the default branch."""


@dataclass(frozen=True)
class Preview:
    """A preview.

    Attributes:
        label: Whose it is, such as `pr42`.
        commit: The hash of the commit.
        committed_at: When that was made.
        base: The commit that a pull request is compared with; None for a branch, whose preview has everything.
        names: The only packages that it may have; None if the workflow builds them itself.
    """

    label: str
    commit: str
    committed_at: datetime
    base: str | None
    names: Collection[str] | None = None

    def version(self, base: Version) -> str:
        """Return the version of a package in this preview, whose own version in this commit is `base`.

        Raises:
            BadInput: It would be too long.
        """
        return preview_version(base, self.committed_at, self.label, self.commit)


def find(root: Path, environment: Mapping[str, str]) -> Preview:
    """Return the preview of this run: of the pull request on its events, else of the branch.

    The commit is GITHUB_SHA, or that of the checkout. For a pull request, GitHub sets it to a merge with the base.
    https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows#pull_request

    Args:
        root: A folder of the checkout.
        environment: All environment variables.

    Raises:
        BadInput: The commit or the branch is not known, or the pull request is closed.
    """
    event = environment.get("GITHUB_EVENT_NAME", "")
    if event in _WITHOUT_COMMIT:
        raise BadInput(
            f"On the event `{event}`, the commit of a pull request is not known.",
            cause="GITHUB_SHA is a commit of the default branch there",
            fix="use the event `pull_request`",
            anchor="preview-commit",
        )
    commit = _commit(environment.get("GITHUB_SHA") or "HEAD", root, environment)
    if event not in _PULL_REQUEST:
        return Preview(branch_label(_branch(root, environment)), commit.hash, commit.time, None)
    pull_request = _pull_request(environment)
    if pull_request.get("state") == "closed":
        raise BadInput(
            f"The pull request {pull_request['number']} is closed, and its previews are deleted.",
            cause="the workflow starts on the type `closed`, too, or somebody has reviewed the closed pull request",
            fix="add to the job\n  if: github.event.pull_request.state == 'open'",
            anchor="preview-commit",
        )
    is_merge = commit.hash != pull_request["head"]["sha"] and len(commit.parents) > 1
    base = commit.parents[0] if is_merge else pull_request["base"]["sha"]
    return Preview(pull_request_label(pull_request["number"]), commit.hash, commit.time, base)


def read_event(environment: Mapping[str, str]) -> Mapping[str, Any]:
    """Return the event that started the workflow; empty without a readable file of it.

    https://docs.github.com/en/webhooks/webhook-events-and-payloads
    """
    try:
        event = json.loads(Path(environment["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, RecursionError):
        return {}
    return event if isinstance(event, dict) else {}


def _commit(name: str, root: Path, environment: Mapping[str, str]) -> git.Commit:
    try:
        return git.commit(name, root, environment)
    except BadInput as failure:
        raise BadInput(
            f"A preview is named after its commit, and {root} is not a checkout that has the commit {name}.",
            cause="another commit is checked out, or the folder has no .git",
            fix="check out the commit of this run (actions/checkout without `ref`)",
            anchor="preview-commit",
            detail=failure.detail,
        ) from None


def _branch(root: Path, environment: Mapping[str, str]) -> str:
    if branch := environment.get("GITHUB_REF_NAME") or git.branch(root, environment):
        return branch
    raise BadInput(
        f"A preview is named after its branch, but no branch is checked out in {root}.",
        fix="git switch BRANCH",
        anchor="preview-commit",
    )


def _pull_request(environment: Mapping[str, str]) -> Any:
    try:
        found = read_event(environment)["pull_request"]
        if found["number"] > 0 and found["base"]["sha"] and found["head"]["sha"]:
            return found
    except (KeyError, TypeError):
        pass
    raise BadInput(
        "The event file of this run (GITHUB_EVENT_PATH) has no pull request with a number and two commits.",
        cause="the workflow was started by hand, or by act without `--eventpath`",
        fix="start the workflow by the event `pull_request`",
        anchor="preview-commit",
    )
