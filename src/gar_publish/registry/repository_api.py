"""Artifact Registry's API for one repository: does it exist, does it take Python packages, and how is it created?

See https://cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations.repositories
"""

import shlex
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from typing import Any

import requests

from gar_publish.context import OPERATION_WAITS
from gar_publish.errors import Failure, RegistryRefused, Unreachable
from gar_publish.registry.google_api import GoogleApi, json_object, said, why_failed
from gar_publish.registry.refusals import DOWNLOAD, READER, UPLOAD, explain_denial, explain_refusal
from gar_publish.settings.repository import DELETER, PREVIEWS_LABEL, Repository
from gar_publish.threads import in_background
from gar_publish.transport.retry import poll
from gar_publish.transport.session import is_success

_ALREADY_EXISTS = 6
"""Of google.rpc.Code (https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto)."""
_HIDDEN = {requests.codes.not_found, requests.codes.forbidden}
_EXPLAIN_SECONDS = 5.0
_ASKED = "repositories.get and testIamPermissions"
_RUN_AGAIN = "run again: gar-publish uses the repository once it exists"


def check_label(
    repository: Repository, described: Mapping[str, Any] | None, find_member: Callable[[], str], *, previews: bool
) -> None:
    """Refuse previews where there may be releases, and releases where there are previews, which are deleted.

    Args:
        repository: The repository.
        described: What the API says about it; None if this identity may not ask.
        find_member: Finds this identity's name in IAM, for the command that grants it the role.
        previews: Whether previews are published or deleted.

    Raises:
        RegistryRefused: It lacks the label of a repository for previews, or has it; or that is not known, for previews.
    """
    if described is None and previews:
        raise RegistryRefused(
            f"The labels of {repository} cannot be read.",
            cause=f"the identity lacks {READER} on this repository",
            fix=f"grant the role\n  {repository.to_grant(shlex.quote(find_member()), DELETER)}",
            anchor="previews-repository",
        )
    labels = (described or {}).get("labels")
    name, value = PREVIEWS_LABEL
    has_label = isinstance(labels, dict) and labels.get(name) == value
    if has_label and not previews:
        raise RegistryRefused(
            f"{repository} is a repository for previews, where releases would be deleted: it has the label "
            f"{name}={value}.",
            fix="use another repository for releases, or set `preview: true`",
            anchor="previews-repository",
        )
    if previews and not has_label:
        raise RegistryRefused(
            f"{repository} is not a repository for previews: it lacks the label {name}={value}.",
            cause="a repository without the label may have releases, which must not be deleted",
            fix="make a repository for previews with the script that this prints\n  gar-publish bootstrap "
            f"--github OWNER/REPOSITORY --repository {repository.location}/{repository.project}/previews --previews",
            anchor="previews-repository",
        )


class RepositoryApi:
    """Checks and creates one repository.

    Args:
        repository: The repository.
        api: Makes the calls.
        member: The publisher as IAM names it, for the commands in failures.
    """

    def __init__(self, repository: Repository, api: GoogleApi, member: str = "MEMBER") -> None:
        self._repository = repository
        self._api = api
        self._member = member
        self._base = api.context.endpoints.artifact_registry
        self._say = api.context.console.info

    def check(self, *, create: bool, dry_run: bool = False, previews: bool = False) -> bool:
        """Check that the repository takes uploads, and create it if it is missing and `create` says so.

        An identity that may upload need not be allowed to ask, and some networks reach only `pkg.dev`: such an
        answer proves nothing, and the upload itself will show. For previews, the label must be known.

        Args:
            create: Whether to create it.
            dry_run: Whether to say so only.
            previews: Whether it must have the label of a repository for previews; otherwise, it must not.

        Returns:
            Whether it was just created, by this run or another: then some servers may not know it yet.

        Raises:
            RegistryRefused: The repository is missing and not to be created, cannot be created, or takes no Python
                uploads; or the API is disabled.
            Unreachable: It is to be created, or previews are published, and the API does not answer.
        """
        try:
            response = self._look()
        except Unreachable:
            if create or previews:
                raise
            return False
        missing = response.status_code == requests.codes.not_found
        if is_success(response):
            found = json_object(response)
            self._check_kind(found)
            check_label(self._repository, found, lambda: self._member, previews=previews)
        elif missing and not create:
            raise self._missing(response)
        elif missing and dry_run:
            self._say(f"{self._repository} does not exist; it would be created.")
        else:
            self._refuse_disabled(response, needed=create)
            check_label(self._repository, None, lambda: self._member, previews=previews)
            if create and not dry_run and response.status_code in _HIDDEN:
                self._create()
                return True
        return False

    def check_source(self) -> None:
        """Check that packages can be promoted from it, as far as this identity may know.

        Raises:
            RegistryRefused: It is missing, or has no Python packages of its own.
        """
        try:
            response = self._look()
        except Unreachable:
            return
        if is_success(response):
            self._check_kind(json_object(response), "promote from", "have packages of their own")
        elif response.status_code == requests.codes.not_found:
            raise RegistryRefused(
                f"The repository {self._repository}, to promote from, does not exist.",
                cause="a wrong project, location or name; a repository exists in one location only",
                fix="use one of the repositories that this lists\n"
                f"  gcloud artifacts repositories list --project={self._repository.project}",
                anchor="repository-missing",
                detail=said(response),
            )

    def describe(self) -> dict[str, Any] | None:
        """Return the API's description of the repository; None if this identity may not ask.

        Raises:
            RegistryRefused: The repository is missing, or takes no Python uploads; or the API is disabled, or refuses
                the quota project of a login.
            Unreachable: The API does not answer.
        """
        response = self._look()
        if response.status_code == requests.codes.not_found:
            raise self._missing(response)
        if not is_success(response):
            self._refuse_disabled(response)
            return None
        found = json_object(response)
        self._check_kind(found)
        return found

    def takes_uploads(self) -> bool:
        """Return whether this identity sees the repository, and it takes Python packages."""
        try:
            return self.describe() is not None
        except Failure:
            return False

    def permitted(self, permissions: Sequence[str]) -> set[str] | None:
        """Return which of these permissions this identity has; None if the API does not tell.

        https://cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations.repositories/testIamPermissions

        Raises:
            RegistryRefused: The API is disabled, or refuses the quota project of a login.
            Unreachable: The API does not answer.
        """
        response = self._test(permissions)
        if not is_success(response):
            self._refuse_disabled(response)
        return _granted(response)

    def explain(self, failure: Failure, *, publishes: bool) -> Failure:
        """Return a 403 of the registry, which gives no reason, with the one that two calls show in five seconds.

        Args:
            failure: The refusal.
            publishes: Whether the identity has to upload, or only to read.
        """
        asked = [in_background(self._look), in_background(lambda: self._test((UPLOAD, DOWNLOAD)))]
        wait(asked, _EXPLAIN_SECONDS)
        looked, tested = map(_answer, asked)
        for each in (looked, tested):
            if each is not None and each.status_code == requests.codes.forbidden:
                reason = explain_refusal(each, self._repository, "upload" if publishes else "read", said(each))
                if reason.anchor != "registry-403":
                    return reason
        explained = explain_denial(
            failure,
            self._repository,
            self._member,
            publishes=publishes,
            exists=None if looked is None else is_success(looked),
            granted=None if tested is None else _granted(tested) or set(),
        )
        if looked is not None or tested is not None:
            return explained
        cause = f"{explained.cause}; artifactregistry.googleapis.com does not answer {_ASKED}"
        return explained.because(cause=cause, fix=explained.fix, anchor=explained.anchor)

    def _refuse_disabled(self, response: requests.Response, *, needed: bool = True) -> None:
        """Raise RegistryRefused if the API is disabled; warn if publishing works without it."""
        failure = explain_refusal(response, self._repository, "read", said(response))
        if failure.anchor == "api-disabled" or (needed and failure.anchor == "quota-project"):
            raise failure
        if failure.anchor == "quota-project":
            self._api.context.console.warning(f"{self._repository} cannot be checked. {failure.brief}")

    def _look(self) -> requests.Response:
        return self._call("GET", self._repository.resource or "")

    def _test(self, permissions: Sequence[str]) -> requests.Response:
        path = f"{self._repository.resource}:testIamPermissions"
        return self._call("POST", path, json={"permissions": list(permissions)})

    def _check_kind(self, found: dict[str, Any], use: str = "publish to", why: str = "accept uploads") -> None:
        kind, mode = found.get("format", "PYTHON"), found.get("mode", "STANDARD_REPOSITORY")
        if kind != "PYTHON":
            raise RegistryRefused(
                f"{self._repository} has format {kind}; gar-publish needs PYTHON.",
                fix=f"create a Python repository\n  {self._repository.to_create('NAME')}",
                anchor="repository-format",
            )
        if mode != "STANDARD_REPOSITORY":
            word = str(mode).removesuffix("_REPOSITORY").lower()
            raise RegistryRefused(
                f"Cannot {use} {self._repository}: it is a {word} repository. Only standard repositories {why}.",
                cause="a virtual repository shows the packages of other repositories; a remote repository caches "
                "another "
                "index",
                fix=f"use a standard repository; this shows which ones are behind {self._repository}\n"
                f"  {self._repository.to_describe()}",
                anchor="repository-mode",
            )

    def _create(self) -> None:
        """Create it and wait until it exists, even if another run creates it first."""
        parent, _, _ = (self._repository.resource or "").rpartition("/")
        body = {"format": "PYTHON", "mode": "STANDARD_REPOSITORY"}
        response = self._call("POST", parent, params={"repositoryId": self._repository.name or ""}, json=body)
        if response.status_code == requests.codes.conflict:
            self._say(f"{self._repository} is created by another run.")
        elif not is_success(response):
            raise self._not_created(response)
        else:
            self._say(f"{self._repository} does not exist; creating it.")
            self._wait_for(json_object(response))
        self._wait_until_seen()

    def _wait_for(self, operation: dict[str, Any]) -> None:
        ended = self._api.wait_for(operation, self._base, what=f"{self._repository} is being created")
        error = ended.get("error")
        if isinstance(error, dict) and error.get("code") == _ALREADY_EXISTS:
            return
        if (why := why_failed(ended)) is not None:
            raise RegistryRefused(
                f"{self._repository} could not be created.", fix=_RUN_AGAIN, anchor="create-repository", detail=why
            )

    def _wait_until_seen(self) -> None:
        """Wait until it exists. If this identity may not look, its uploads will show."""
        response = poll(
            self._look,
            lambda answer: answer.status_code != requests.codes.not_found,
            OPERATION_WAITS,
            f"{self._repository} does not exist yet",
            self._api.context,
        )
        if is_success(response):
            self._check_kind(json_object(response))  # another run may have created another kind
        elif response.status_code == requests.codes.not_found:
            raise RegistryRefused(
                f"{self._repository} is still being created after one minute.",
                fix=_RUN_AGAIN,
                anchor="create-repository",
            )

    def _not_created(self, response: requests.Response) -> Failure:
        self._refuse_disabled(response)
        detail = said(response)
        if response.status_code != requests.codes.forbidden:
            return RegistryRefused(
                f"{self._repository} is missing and could not be created (HTTP {response.status_code}).",
                fix="create the repository with an account that has roles/artifactregistry.admin\n"
                f"  {self._repository.to_create()}",
                anchor="create-repository",
                detail=detail,
            )
        return RegistryRefused(
            f"{self._repository} is missing, or this identity may not see it, and may not create it (HTTP 403).",
            cause="the identity lacks artifactregistry.repositories.create, which roles/artifactregistry.admin has, on "
            f"the project {self._repository.project}",
            fix=f"create the repository once, by hand\n  {self._repository.to_create()}\n"
            "or let this identity create it\n"
            f"  gcloud projects add-iam-policy-binding {self._repository.project} "
            f"--member={self._member} --role=roles/artifactregistry.admin",
            anchor="create-repository",
            detail=detail,
        )

    def _call(self, method: str, path: str, **body: Any) -> requests.Response:
        return self._api.call(method, f"{self._base}/{path}", what=f"ask for {self._repository}", **body)

    def _missing(self, response: requests.Response) -> Failure:
        return RegistryRefused(
            f"The repository {self._repository} does not exist.",
            cause="a wrong project, location or name; a repository exists in one location only",
            fix=f"create the repository, or set `create-repository: true`\n  {self._repository.to_create()}",
            anchor="repository-missing",
            detail=said(response),
        )


def _granted(response: requests.Response) -> set[str] | None:
    """Return the permissions in an answer to testIamPermissions; None if there are none to read."""
    granted = json_object(response).get("permissions", []) if is_success(response) else None
    return {str(name) for name in granted} if isinstance(granted, list) else None


def _answer(asked: "Future[requests.Response]") -> requests.Response | None:
    """Return an answer that says something about the repository, if there is one already."""
    if not asked.done() or asked.exception():
        return None
    response = asked.result()
    return response if is_success(response) or response.status_code in _HIDDEN else None
