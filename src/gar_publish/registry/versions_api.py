"""Artifact Registry's API for the versions in one repository: it lists and deletes them.

See https://cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations.repositories.packages.versions
"""

import shlex
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import unquote

import requests

from gar_publish.errors import Failure, RegistryRefused
from gar_publish.registry.google_api import GoogleApi, json_object, said, why_failed
from gar_publish.registry.refusals import READER, explain_refusal
from gar_publish.settings.repository import DELETER, Repository
from gar_publish.threads import result
from gar_publish.transport.session import is_success

_AT_ONCE = 8
_BATCH = 100
"""Versions per call. The service has a limit, which it does not tell."""

_PAGES = 1000
"""Pages of a list, of up to 1000 items each."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class ListedVersion:
    """A version as the API lists it.

    Attributes:
        name: Its resource name.
        package: The name of its package.
        version: The version itself, which need not be one of PEP 440.
        created: When it was created, in UTC; None if the API does not tell.
    """

    name: str
    package: str
    version: str
    created: datetime | None


class VersionsApi:
    """The versions of one repository.

    Args:
        repository: The repository.
        api: Makes the calls.
        find_member: Returns the identity as IAM names it, for the command in a failure.
    """

    def __init__(self, repository: Repository, api: GoogleApi, find_member: Callable[[], str]) -> None:
        self._repository = repository
        self._api = api
        self._find_member = find_member
        self._base = api.context.endpoints.artifact_registry

    def list_all(self) -> Sequence[ListedVersion]:
        """Return all versions of all packages.

        Raises:
            RegistryRefused: The repository is missing, or this identity may not list its versions.
            Unreachable: The API does not answer.
        """
        packages = [str(each.get("name", "")) for each in self._pages(f"{self._repository.resource}/packages")]
        listed = _at_once(self._versions, packages)
        return [version for versions in listed for version in versions]

    def delete(self, versions: Iterable[ListedVersion]) -> str:
        """Delete versions by their names. One that is gone already, or that another run deletes, is no failure.

        Returns:
            Why the API did not delete all of them, as far as it tells; otherwise empty.

        Raises:
            RegistryRefused: This identity may not delete versions, or the API refuses the call.
            Unreachable: The API does not answer.
        """
        of_package: defaultdict[str, list[str]] = defaultdict(list)
        for each in versions:
            of_package[each.name.rpartition("/versions/")[0]].append(each.name)
        batches = [
            (package, names[start : start + _BATCH])
            for package, names in of_package.items()
            for start in range(0, len(names), _BATCH)
        ]
        return "\n".join(filter(None, _at_once(self._delete_batch, batches)))

    def _delete_batch(self, batch: tuple[str, list[str]]) -> str:
        package, names = batch
        response = self._call("POST", f"{package}/versions:batchDelete", "delete versions", json={"names": names})
        if response.status_code == requests.codes.not_found:
            return said(response)
        if not is_success(response):
            raise self._refused(response, "delete versions", DELETER)
        what = f"versions of {package.rpartition('/')[2]} are being deleted"
        return why_failed(self._api.wait_for(json_object(response), self._base, what=what)) or ""

    def _versions(self, package: str) -> Sequence[ListedVersion]:
        path, _, name = package.rpartition("/")
        if path != f"{self._repository.resource}/packages":
            return []
        return [
            ListedVersion(listed, name, unquote(version), _time(each.get("createTime")))
            for each in self._pages(f"{package}/versions")
            if (listed := str(each.get("name", ""))).startswith(f"{package}/versions/")
            and (version := listed.removeprefix(f"{package}/versions/"))
        ]

    def _pages(self, path: str) -> Iterator[dict[str, Any]]:
        """Yield the items of a list (https://google.aip.dev/158); none if another run has deleted the package."""
        kind, token, seen = path.rpartition("/")[2], "", set[str]()
        while token not in seen and len(seen) < _PAGES:
            seen.add(token)
            response = self._call("GET", path, "list", params={"pageSize": "1000", "pageToken": token})
            if response.status_code == requests.codes.not_found and kind == "versions":
                return
            if not is_success(response):
                raise self._refused(response, "list versions", READER)
            page = json_object(response)
            yield from (each for each in page.get(kind) or () if isinstance(each, dict))
            token = str(page.get("nextPageToken") or "")
            if not token:
                return
        raise RegistryRefused(
            f"The list of {kind} in {self._repository} has no end.",
            cause="a proxy answers in place of the API",
            fix="run the same command again",
            anchor="versions-refused",
        )

    def _call(self, method: str, path: str, verb: str, **body: Any) -> requests.Response:
        return self._api.call(method, f"{self._base}/{path}", what=f"{verb} in {self._repository}", **body)

    def _refused(self, response: requests.Response, verb: str, role: str) -> Failure:
        explained = explain_refusal(response, self._repository, "read", said(response))
        if explained.anchor not in {"registry-400", "registry-403", "registry-refused"}:
            return explained
        if response.status_code != requests.codes.forbidden:
            return RegistryRefused(
                f"{self._repository} refuses to {verb} (HTTP {response.status_code}).",
                fix="run the same command again: it continues where it stopped",
                anchor="versions-refused",
                detail=said(response),
            )
        return RegistryRefused(
            f"{self._repository} does not let this identity {verb} (HTTP 403).",
            cause=f"the identity lacks {role} on this repository",
            fix=f"grant the role\n  {self._repository.to_grant(shlex.quote(self._find_member()), role)}",
            anchor="versions-403",
            detail=said(response),
        )


def _at_once(call: Callable[[Item], Answer], items: Iterable[Item]) -> Sequence[Answer]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return [result(future) for future in [pool.submit(call, item) for item in items]]


def _time(text: object) -> datetime | None:
    """Return a time in RFC 3339, or None if it is none; the fraction may have nine digits."""
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return time.astimezone(UTC) if time.tzinfo else None
