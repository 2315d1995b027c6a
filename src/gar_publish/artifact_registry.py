"""Artifact Registry's own API: is the repository there, and does it take Python packages?

See https://cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations.repositories
"""

from collections.abc import Callable
from typing import Any

import requests

from gar_publish.credentials import TokenSource
from gar_publish.endpoints import Endpoints
from gar_publish.errors import Failure, RegistryRefused, Unreachable
from gar_publish.http import is_success, with_renewal
from gar_publish.patience import Patience
from gar_publish.refusals import harmless, server_text
from gar_publish.repository import Repository
from gar_publish.retries import Unsound, persist


class RepositoryApi:
    """What publishing asks of the API about one repository."""

    def __init__(
        self,
        repository: Repository,
        *,
        endpoints: Endpoints,
        session: requests.Session,
        source: TokenSource,
        patience: Patience,
        on_wait: Callable[[str], None],
    ) -> None:
        self._repository = repository
        self._base = endpoints.artifact_registry
        self._session = session
        self._source = source
        self._patience = patience
        self._on_wait = on_wait

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
                raise self._missing(_said(response))
            if not dry_run:
                self._create()
        elif is_success(response):
            self._check_kind(_json_object(response))

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
                detail=_said(response),
            )
        operation = _json_object(response)
        for seconds in (0.5, 1, 2, 4, 8, 15, 30):
            if operation.get("done"):
                break
            self._on_wait(f"{self._repository} is being created; looking again in {seconds} s")
            self._patience.sleep(seconds)
            operation = _json_object(self._call("GET", str(operation.get("name", ""))))
        if "error" in operation or not operation.get("done"):
            error = operation.get("error")
            raise RegistryRefused(
                f"{self._repository} could not be created.",
                fix="run again: a repository that is there is used as it is",
                anchor="create-repository",
                detail=str(error.get("message", ""))
                if isinstance(error, dict)
                else "the operation did not end in a minute",
            )

    def _call(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        json: dict[str, str] | None = None,
    ) -> requests.Response:
        def ask() -> requests.Response:
            response = with_renewal(
                lambda: self._session.request(
                    method,
                    f"{self._base}/{path}",
                    params=params,
                    json=json,
                    headers={"Authorization": f"Bearer {self._source.token().value}"},
                    allow_redirects=False,
                ),
                self._source,
            )
            if is_success(response):
                _json_object(response)
            return response

        return persist(
            ask,
            patience=self._patience,
            what=f"ask for {self._repository}",
            on_wait=self._on_wait,
        )

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


def _json_object(response: requests.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        failure = RegistryRefused(
            "Artifact Registry's API answered with something that is not an answer of Google's.",
            cause="a proxy or a login page answered in its place",
            fix="ask it yourself: gcloud artifacts repositories list --project=PROJECT",
            anchor="not-an-api",
        )
        raise Unsound(response, failure)
    return body


def _said(response: requests.Response) -> str:
    """An error's message (https://google.aip.dev/193), or whatever else stands there."""
    try:
        return harmless(str(response.json()["error"]["message"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return server_text(response)
