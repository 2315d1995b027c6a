"""Artifact Registry's own API: is the repository there, does it hold Python packages, and how is it created?

See https://cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations.repositories
"""

from collections.abc import Callable, Sequence
from typing import Any

import requests

from gar_publish.errors import Failure, RegistryRefused, Unreachable
from gar_publish.registry.google_api import WAITS, GoogleApi, json_object, said, why_failed
from gar_publish.registry.refusals import api_disabled, is_disabled
from gar_publish.settings.endpoints import Endpoints
from gar_publish.settings.repository import Repository
from gar_publish.transport.answers import server_text
from gar_publish.transport.session import is_success

UPLOAD = "artifactregistry.repositories.uploadArtifacts"
DOWNLOAD = "artifactregistry.repositories.downloadArtifacts"
"""https://cloud.google.com/artifact-registry/docs/access-control"""
_ALREADY_EXISTS = 6
"""Of google.rpc.Code (https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto)."""
_HIDDEN = {requests.codes.not_found, requests.codes.forbidden}


class RepositoryApi:
    """What gar-publish asks of the API about one repository.

    Args:
        repository: The repository.
        endpoints: Where the API is.
        api: Makes the calls.
        member: Who publishes, as IAM names it, for the commands that failures show.
        say: Told that a repository is created, or would be.
    """

    def __init__(
        self,
        repository: Repository,
        *,
        endpoints: Endpoints,
        api: GoogleApi,
        member: str = "MEMBER",
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._repository = repository
        self._base = endpoints.artifact_registry
        self._api = api
        self._member = member
        self._say = say

    def check(self, *, create: bool, dry_run: bool = False) -> bool:
        """See to it that uploads can work, as far as this identity may know.

        An identity that may upload need not be allowed to ask, and some networks reach only `pkg.dev`: such an
        answer proves nothing, and the upload itself will tell.

        Returns:
            Whether it was created a moment ago, by this run or another: then not every server may know it yet.

        Raises:
            RegistryRefused: The repository is missing and not to be created, cannot be created, or takes no Python
                uploads.
            Unreachable: It is to be created, and the API does not answer.
        """
        try:
            response = self._look()
        except Unreachable:
            if create:
                raise
            return False
        missing = response.status_code == requests.codes.not_found
        if is_success(response):
            self._check_kind(json_object(response))
        elif missing and not create:
            raise self._missing(said(response))
        elif missing and dry_run:
            self._say(f"{self._repository} does not exist; it would be created.")
        else:
            self._refuse_disabled(response)
            if create and not dry_run and response.status_code in _HIDDEN:
                self._create()
                return True
        return False

    def check_source(self) -> None:
        """See to it that it holds packages that can be promoted, as far as this identity may know.

        Raises:
            RegistryRefused: It is missing, or holds no Python packages of its own.
        """
        try:
            response = self._look()
        except Unreachable:
            return
        if is_success(response):
            self._check_kind(json_object(response))
        elif response.status_code == requests.codes.not_found:
            raise RegistryRefused(
                f"The repository {self._repository}, to promote from, does not exist.",
                cause="a wrong project, location or name; a repository is looked for in one location only",
                fix=f"gcloud artifacts repositories list --project={self._repository.project}",
                anchor="repository-missing",
                detail=said(response),
            )

    def describe(self) -> dict[str, Any] | None:
        """What the API says of the repository; None where this identity may not ask.

        Raises:
            RegistryRefused: The repository is missing, or takes no Python uploads; or the API is switched off.
            Unreachable: The API does not answer.
        """
        response = self._look()
        if response.status_code == requests.codes.not_found:
            raise self._missing(said(response))
        if not is_success(response):
            self._refuse_disabled(response)
            return None
        found = json_object(response)
        self._check_kind(found)
        return found

    def takes_uploads(self) -> bool:
        """Whether this identity sees the repository, and Python packages can be published there."""
        try:
            return self.describe() is not None
        except Failure:
            return False

    def permitted(self, permissions: Sequence[str]) -> set[str] | None:
        """Which of these permissions this identity holds; None where the API does not tell.

        https://cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations.repositories/testIamPermissions

        Raises:
            RegistryRefused: The API is switched off.
            Unreachable: The API does not answer.
        """
        path = f"{self._repository.resource}:testIamPermissions"
        response = self._call("POST", path, json={"permissions": list(permissions)})
        if not is_success(response):
            self._refuse_disabled(response)
            return None
        held = json_object(response).get("permissions", [])
        return {str(name) for name in held} if isinstance(held, list) else None

    def _refuse_disabled(self, response: requests.Response) -> None:
        if is_disabled(server_text(response)):
            raise api_disabled(self._repository.project or "PROJECT", said(response))

    def _look(self) -> requests.Response:
        return self._call("GET", self._repository.resource or "")

    def _check_kind(self, found: dict[str, Any]) -> None:
        kind, mode = found.get("format", "PYTHON"), found.get("mode", "STANDARD_REPOSITORY")
        if kind != "PYTHON":
            raise RegistryRefused(
                f"{self._repository} is a repository of format {kind}, not PYTHON.",
                fix=f"create another: {self._repository.to_create('NAME')}",
                anchor="repository-format",
            )
        if mode != "STANDARD_REPOSITORY":
            word = str(mode).removesuffix("_REPOSITORY").lower()
            raise RegistryRefused(
                f"{self._repository} is a {word} repository; only a standard one holds packages of its own.",
                cause="a virtual repository shows what others hold, a remote one caches another index",
                fix=f"{self._repository.to_describe()} names the repositories behind it; give one of those",
                anchor="repository-mode",
            )

    def _create(self) -> None:
        """Create it and wait until it is there, whoever creates it first."""
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
                f"{self._repository} could not be created.",
                fix="run again: a repository that is there is used as it is",
                anchor="create-repository",
                detail=why,
            )

    def _wait_until_seen(self) -> None:
        """Another run's may not be there yet, and may be of another kind; who may not look finds out by uploading."""
        for seconds in (*WAITS, None):
            response = self._look()
            if is_success(response):
                self._check_kind(json_object(response))
                return
            if response.status_code != requests.codes.not_found:
                return
            if seconds is not None:
                self._api.pause(seconds, f"{self._repository} is not there yet")
        raise RegistryRefused(
            f"{self._repository} is being created, and was not there after a minute.",
            fix="run again: a repository that is there is used as it is",
            anchor="create-repository",
        )

    def _not_created(self, response: requests.Response) -> Failure:
        self._refuse_disabled(response)
        detail = said(response)
        if response.status_code != requests.codes.forbidden:
            return RegistryRefused(
                f"{self._repository} is missing and could not be created (status {response.status_code}).",
                fix=self._repository.to_create(),
                anchor="create-repository",
                detail=detail,
            )
        return RegistryRefused(
            f"{self._repository} is missing, or hidden from this identity, which may not create it (403).",
            cause="creating takes the permission artifactregistry.repositories.create, which "
            f"roles/artifactregistry.admin has, on the project {self._repository.project}",
            fix=f"create it once, by hand\n  {self._repository.to_create()}\nor let this identity do it\n"
            f"  gcloud projects add-iam-policy-binding {self._repository.project} "
            f"--member={self._member} --role=roles/artifactregistry.admin",
            anchor="create-repository",
            detail=detail,
        )

    def _call(self, method: str, path: str, **body: Any) -> requests.Response:
        return self._api.call(method, f"{self._base}/{path}", what=f"ask for {self._repository}", **body)

    def _missing(self, detail: str) -> Failure:
        return RegistryRefused(
            f"The repository {self._repository} does not exist.",
            cause="a wrong project, location or name; a repository is looked for in one location only",
            fix=f"create it, or set `create-repository: true`\n  {self._repository.to_create()}",
            anchor="repository-missing",
            detail=detail,
        )
