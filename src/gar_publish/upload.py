"""The write side of the registry: one file at a time, through twine, settled by its hash."""

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

import requests
from requests.auth import AuthBase

from gar_publish.credentials import TokenSource
from gar_publish.distributions import Distribution
from gar_publish.errors import Conflict, Failure, RegistryRefused, Unreachable
from gar_publish.http import HostAuth, with_renewal
from gar_publish.index import Index, IndexFile
from gar_publish.patience import Patience, persist
from gar_publish.refusals import explain_refusal, server_text

if TYPE_CHECKING:
    from twine.repository import Repository as TwineRepository

Status = Literal["uploaded", "identical", "skipped", "would upload", "failed", "not tried"]


class Uploader:
    """Posts files to one repository (the legacy upload API that twine speaks). May be shared by threads.

    The session is the uploader's own: twine gives its requests no other way to carry a credential.
    """

    def __init__(
        self,
        url: str,
        *,
        session: requests.Session,
        source: TokenSource,
        index: Index,
        patience: Patience,
        on_wait: Callable[[str], None],
    ) -> None:
        self._source = source
        self._twine = _twine_repository(url, session, HostAuth(url, source))
        self._index = index
        self._patience = patience
        self._on_wait = on_wait

    def upload(self, distribution: Distribution) -> Status:
        """Send one file that the index did not hold a moment ago.

        An answer that was lost, and a file that another run sent meanwhile, are settled by the index: the same
        bytes are success, others are a conflict.

        Raises:
            Failure: The registry refuses, cannot be reached, or holds other bytes.
        """
        try:
            response = persist(
                lambda: with_renewal(lambda: self._twine.upload(distribution.package, max_redirects=1), self._source),
                patience=self._patience,
                what=f"upload {distribution.filename}",
                on_wait=self._on_wait,
            )
        except Unreachable:
            if self._holds(distribution):
                return "uploaded"
            raise
        with response:
            if response.ok and not response.is_redirect:
                return "uploaded"
            said = server_text(response)
            if not _exists_already(response, said):
                raise explain_refusal(response, said, action="upload")
        listed = self._index.find(distribution.name, distribution.filename)
        if listed is None:
            raise RegistryRefused(
                f"The registry says that it holds {distribution.filename} already, but its index does not list it.",
                cause="the file was uploaded a moment ago, and the index lags behind",
                fix="run again in a minute: the same bytes are skipped",
                anchor="read-back",
            )
        if same_bytes(distribution, listed, self._index):
            return "identical"
        raise conflict(distribution, listed)

    def _holds(self, distribution: Distribution) -> bool:
        listed = self._index.files(distribution.name).get(distribution.filename)
        return listed is not None and same_bytes(distribution, listed, self._index)


def same_bytes(distribution: Distribution, listed: IndexFile, index: Index) -> bool:
    """Whether the index holds exactly this file: by the hash it lists, else by downloading it."""
    return (listed.sha256 or index.read_sha256(listed)) == distribution.sha256


def conflict(distribution: Distribution, listed: IndexFile) -> Failure:
    theirs = f" (sha256 {listed.sha256})" if listed.sha256 else ""
    return Conflict(
        f"The registry holds {distribution.filename} already, with other bytes{theirs} "
        f"than this one (sha256 {distribution.sha256}).",
        cause="this version was published before and its content changed since; a registry never replaces a file",
        fix=f"raise the version of {distribution.name}, or set `if-exists: skip` to keep what is there",
        anchor="other-bytes",
    )


def compare(distribution: Distribution, listed: Mapping[str, IndexFile], if_exists: str, index: Index) -> Status:
    """What to do with a file, given what the index lists for its project.

    Raises:
        Conflict: It must not be published under `if_exists`.
    """
    present = listed.get(distribution.filename)
    if present is None:
        return "would upload"
    if if_exists == "skip":
        return "skipped"
    if if_exists == "fail":
        raise Conflict(
            f"The registry holds {distribution.filename} already.",
            cause="`if-exists: fail` takes any file of that name as an error",
            fix=f"raise the version of {distribution.name}, or leave `if-exists` at skip-identical",
            anchor="other-bytes",
        )
    if not same_bytes(distribution, present, index):
        raise conflict(distribution, present)
    return "identical"


def _exists_already(response: requests.Response, said: str) -> bool:
    """GAR answers 400 `Requested entity already exists`, most others 409 (docs/fidelity.md)."""
    if response.status_code == requests.codes.bad_request:
        return "already exist" in f"{response.reason} {said}".lower()
    return response.status_code == 409  # noqa: PLR2004 - Conflict


def _twine_repository(url: str, session: requests.Session, auth: AuthBase) -> "TwineRepository":
    import rich  # twine takes 0.2 s to import, which passes while projects build
    from twine.repository import Repository as TwineRepository

    rich.reconfigure(quiet=True)  # twine would print to standard output, and log what we retry ourselves
    logging.getLogger("twine").addHandler(logging.NullHandler())
    repository = TwineRepository(url, username=None, password=None, disable_progress_bar=True)
    repository.close()
    repository.session = session
    session.auth = auth
    session.stream = True
    return repository
