"""Artifact Registry's own API: is the repository there, and does it take Python packages?

See https://cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations.repositories
"""

from typing import Any

import requests

from gar_publish.endpoints import Endpoints
from gar_publish.errors import Failure, RegistryRefused, Unreachable
from gar_publish.google_api import GoogleApi, json_object, said, why_failed
from gar_publish.http import is_success
from gar_publish.repository import Repository


class RepositoryApi:
    """What publishing asks of the API about one repository."""

    def __init__(self, repository: Repository, *, endpoints: Endpoints, api: GoogleApi) -> None:
        self._repository = repository
        self._base = endpoints.artifact_registry
        self._api = api

    def check(self, *, create: bool, dry_run: bool = False) -> None:
        """See to it that uploads can work, as far as this identity may know.

        An identity that may upload need not be allowed to ask, and some networks reach only `pkg.dev`: such an
        answer proves nothing, and the upload itself will tell.

        Raises:
            RegistryRefused: The repository is missing (and not to be created), or takes no Python uploads.
        """
        try:
            response = self._call("GET", self._repository.resource or "")
        except Unreachable:
            if create:
                raise
            return
        if response.status_code == requests.codes.not_found:
            if not create:
                raise self._missing(said(response))
            if not dry_run:
                self._create()
        elif is_success(response):
            self._check_kind(json_object(response))

    def _check_kind(self, found: dict[str, Any]) -> None:
        kind, mode = found.get("format", "PYTHON"), found.get("mode", "STANDARD_REPOSITORY")
        if kind != "PYTHON":
            raise RegistryRefused(
                f"{self._repository} is a repository of format {kind}, not PYTHON.",
                fix=self._gcloud(
                    "create another: gcloud artifacts repositories create NAME --repository-format=python"
                ),
                anchor="repository-format",
            )
        if mode != "STANDARD_REPOSITORY":
            word = str(mode).removesuffix("_REPOSITORY").lower()
            raise RegistryRefused(
                f"{self._repository} is a {word} repository; packages can only be published to a standard one.",
                cause="a virtual repository shows what others hold, a remote one caches another index",
                fix=self._gcloud(f"gcloud artifacts repositories describe {self._repository.name}")
                + " names the repositories behind it; publish to one of those",
                anchor="repository-mode",
            )

    def _create(self) -> None:
        parent, _, _ = (self._repository.resource or "").rpartition("/")
        body = {"format": "PYTHON", "mode": "STANDARD_REPOSITORY"}
        response = self._call("POST", parent, params={"repositoryId": self._repository.name or ""}, json=body)
        if response.status_code == requests.codes.conflict:
            return
        if not is_success(response):
            raise RegistryRefused(
                f"{self._repository} is missing and could not be created (status {response.status_code}).",
                cause="creating takes roles/artifactregistry.admin on the project",
                fix=self._gcloud(
                    f"gcloud artifacts repositories create {self._repository.name} --repository-format=python"
                ),
                anchor="create-repository",
                detail=said(response),
            )
        operation = self._api.wait_for(json_object(response), self._base, what=f"{self._repository} is being created")
        if (error := why_failed(operation)) is not None:
            raise RegistryRefused(
                f"{self._repository} could not be created.",
                fix="run again: a repository that is there is used as it is",
                anchor="create-repository",
                detail=error,
            )

    def _call(self, method: str, path: str, **body: Any) -> requests.Response:
        return self._api.call(method, f"{self._base}/{path}", what=f"ask for {self._repository}", **body)

    def _missing(self, detail: str) -> Failure:
        return RegistryRefused(
            f"The repository {self._repository} does not exist.",
            cause="a wrong project, location or name; a repository is looked for in one location only",
            fix=self._gcloud(f"gcloud artifacts repositories create {self._repository.name} --repository-format=python")
            + ", or set `create-repository: true`",
            anchor="repository-missing",
            detail=detail,
        )

    def _gcloud(self, command: str) -> str:
        return f"{command} --location={self._repository.location} --project={self._repository.project}"
