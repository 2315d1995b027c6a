"""Previews of forks: a workflow run with rights publishes what a run without rights has built.

Everything in the built files is the choice of a stranger. So GitHub's event decides whose preview it is, and of which
commit; the workflow of the default branch decides which packages may be in it.

https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows#workflow_run
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from packaging.utils import InvalidName, canonicalize_name

from gar_publish.context import Context
from gar_publish.distributions import filenames
from gar_publish.errors import BadInput, BuildFailure
from gar_publish.previews.github import GitHub
from gar_publish.previews.origin import Preview, read_event
from gar_publish.previews.stamp import Wheel
from gar_publish.previews.versions import pull_request_label
from gar_publish.settings.settings import Settings
from gar_publish.transport.session import new_session

EVENT = "workflow_run"
MOST_FILES = 500
MOST_BYTES = 1024**3
MOST_METADATA = 32 * 1024**2
"""The most wheels in one preview of a fork, the most bytes of all of them, and of their metadata."""


def open_preview(settings: Settings, context: Context) -> Preview:
    """Return the preview of a run on the event `workflow_run`.

    Raises:
        BadInput: `dist` or `packages` is missing; see `find` as well.
        Failure: See `GitHub.pull_request_of`.
    """
    if not settings.dist:
        raise BadInput(
            "On the event `workflow_run`, a preview is made of files that are built already: nothing is built here.",
            cause="the code of a pull request must not run in a job that has an identity",
            fix="build in a workflow on the event `pull_request`, and set `dist` to the files that it has built",
            anchor="preview-fork",
        )
    names = read_names(settings.packages)
    token = settings.github_token
    github = GitHub(token, context, new_session(context.retry_policy)) if token else None
    return replace(find(read_event(context.environment), github), names=names)


def find(event: Mapping[str, Any], github: GitHub | None) -> Preview:
    """Return the preview of the pull request whose workflow run has ended.

    Args:
        event: The event `workflow_run`.
        github: Finds the pull request of a fork, which GitHub leaves out of the event; None without a token.

    Raises:
        BadInput: The run was not that of a pull request, failed, or is of a commit that is not the newest any more or
            that has no date; or there is no token.
        Failure: See `GitHub.pull_request_of`.
    """
    run = _succeeded(event)
    commit, time = str(run["head_sha"]), _time(run)
    # GitHub lists those that a fork has of the same branch, too, and they have numbers of their own.
    wanted = (commit, event["repository"]["id"])
    listed = run.get("pull_requests") or ()
    numbers = [each["number"] for each in listed if (each["head"]["sha"], each["base"]["repo"]["id"]) == wanted]
    if len(numbers) == 1:
        number = int(numbers[0])
    elif github:
        number = github.pull_request_of(run)
    else:
        raise BadInput(
            "The number of the pull request is not known: GitHub leaves it out of this event for forks.",
            fix="set `github-token: ${{ github.token }}`, and `pull-requests: write` in the job's `permissions`",
            anchor="preview-fork",
        )
    return Preview(pull_request_label(number), commit, time, None)


def _time(run: Mapping[str, Any]) -> datetime:
    """Return when the commit of a run was made. A stranger can give a commit any date."""
    text = (run.get("head_commit") or {}).get("timestamp")
    try:
        time = datetime.fromisoformat(str(text)).astimezone(UTC)
        if time.timestamp() >= 0:
            return time
    except (ValueError, OverflowError):
        pass
    raise BadInput(
        f"The commit of the pull request has the date {str(text)[:40]!r}, and a preview needs one after 1970.",
        cause="the commit was made with another clock, or with a date on purpose",
        fix="commit again, with the date of today\n  git commit --amend --reset-author --no-edit",
        anchor="preview-fork",
    )


def _succeeded(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the workflow run of an event, which was that of a pull request, and has succeeded."""
    run: Mapping[str, Any] = event.get("workflow_run") or {}
    if (run.get("event"), run.get("conclusion")) != ("pull_request", "success"):
        raise BadInput(
            "The workflow run of this event is not one of a pull request that has succeeded.",
            cause="the job has no condition on the event and the conclusion of the run",
            fix="add to the job\n  if: github.event.workflow_run.event == 'pull_request' && "
            "github.event.workflow_run.conclusion == 'success'",
            anchor="preview-fork",
        )
    return run


def read_names(packages: Sequence[str]) -> Collection[str]:
    """Return the normalised names of the packages that a fork's preview may have: the input `packages`.

    Raises:
        BadInput: They are no names.
    """
    try:
        return {canonicalize_name(each, validate=True) for each in packages}
    except InvalidName:
        raise BadInput(
            "On the event `workflow_run`, `packages` must list the names of the packages that a preview may have.",
            cause="the built files come from a fork, which could choose the name of any package",
            fix="set `packages` to the names, one per line",
            anchor="preview-fork",
        ) from None


def check_files(files: Sequence[Path], names: Collection[str]) -> None:
    """Refuse files that a stranger should not be able to publish. Their contents are checked later.

    Args:
        files: The wheels.
        names: The normalised names of the packages that may be published.

    Raises:
        BuildFailure: A file is a link, has another name, or there are too many or too large ones.
    """
    for file in files:
        if file.is_symlink() or not file.is_file():
            raise _refused(f"{file.name} is not a regular file")
        name, _, _ = filenames.parse(file.name)
        if name not in names:
            raise _refused(f"{file.name} is of {name}, which `packages` does not list")
    if len(files) > MOST_FILES:
        raise _refused(f"they are {len(files)}, and at most {MOST_FILES} are published")
    if (size := sum(file.stat().st_size for file in files)) > MOST_BYTES:
        raise _refused(f"they have {size:,} bytes, and at most {MOST_BYTES:,} are published")


def bounded(wheels: Iterable[Wheel]) -> Iterator[Wheel]:
    """Yield wheels while their metadata are small: a few kilobytes of a file can have 100,000 requirements.

    Raises:
        BuildFailure: There are too many metadata.
    """
    left = MOST_METADATA
    for wheel in wheels:
        left -= len(wheel.metadata)
        if left < 0:
            raise _refused(f"they have more than {MOST_METADATA:,} bytes of metadata")
        yield wheel


def _refused(why: str) -> BuildFailure:
    return BuildFailure(
        f"The files of this pull request are not published: {why}.",
        cause="they were built from a fork, which can put any file there",
        fix="look at the pull request; to publish a new package, add its name to `packages` on the default branch",
        anchor="preview-fork-files",
    )
