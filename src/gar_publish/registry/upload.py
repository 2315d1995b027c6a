"""Compares files with the index, uploads them as twine does, and reads them back."""

import contextlib
import os
import re
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote

import requests
from urllib3 import encode_multipart_formdata

from gar_publish.auth.http_auth import HostAuth, with_renewal
from gar_publish.auth.tokens import TokenSource
from gar_publish.console import human_size
from gar_publish.context import Context
from gar_publish.distributions import contents
from gar_publish.distributions.distribution import Distribution, read
from gar_publish.errors import BuildFailure, Conflict, Failure, FileRefused, Unreachable
from gar_publish.registry.index import Index, IndexFile
from gar_publish.registry.outcomes import PublishedFile
from gar_publish.registry.refusals import explain_refusal
from gar_publish.settings.repository import Repository
from gar_publish.settings.settings import IfExists
from gar_publish.threads import in_background
from gar_publish.transport.answers import server_text
from gar_publish.transport.retry import with_retries
from gar_publish.transport.session import is_success, release
from gar_publish.urls import host_of

if TYPE_CHECKING:
    from twine.package import PackageFile

_BACKEND = re.compile(r"[\w-]+(?=[\s(]|$)", re.ASCII)
_TIMES_LARGER = 4
_LARGER = 64 * 1024 * 1024
"""Times and bytes that another build's archive may be larger: it may be compressed less."""

_NOT_PROCESSED = frozenset({408, 429})
"""Statuses that mean that the server did not take the file (RFC 9110, section 15.5.9; RFC 6585, section 4)."""

_NOT_ALLOWED = frozenset({401, 403})

_MOST_BROKEN_OFF = 3
"""After so many uploads of a file that broke off, although the registry answers, it is not sent again."""


class Uploader:
    """Posts files to one repository with the legacy upload API, as twine does. Threads may share it.

    Args:
        repository: The repository.
        context: Where the run happens.
        session: Makes the requests.
        source: The publisher's tokens.
        index: Reads what the repository has.
        if_exists: What to do with a file that another run uploaded meanwhile.
        scratch: A folder for files of the registry, whose contents are compared; None to compare bytes alone.
    """

    def __init__(
        self,
        repository: Repository,
        context: Context,
        session: requests.Session,
        source: TokenSource,
        index: Index,
        *,
        if_exists: IfExists,
        scratch: Path | None,
    ) -> None:
        self._repository = repository
        self._context = context
        self._session = session
        self._source = source
        self._auth = HostAuth(repository.upload_url, source)
        self._index = index
        self._if_exists = if_exists
        self._scratch = scratch

    def upload(self, distribution: Distribution) -> PublishedFile:
        """Upload one file that the index did not list a moment ago.

        After a try without a final answer the file may be there all the same, so the index is asked before the file is
        sent again.

        Raises:
            Failure: The registry refuses, cannot be reached, or has a file that `if_exists` does not allow.
        """
        unsettled, ask_index, asking = 0, False, False  # `unsettled`: tries after which the file may be there
        send = self._sender(distribution)

        def attempt() -> requests.Response:
            nonlocal unsettled, ask_index, asking
            if ask_index:
                ask_index, asking = False, True
                if present := self._listed(distribution):
                    raise _Found(present)
                asking = False
            unsettled, ask_index = unsettled + 1, True
            response = send()
            if response.status_code in _NOT_PROCESSED:
                unsettled, ask_index = unsettled - 1, False
            return response

        try:
            response = with_retries(attempt, self._context, f"upload {distribution.filename}")
        except _Found as found:
            present = found.file
        except Unreachable:
            last_look = self._listed_or_none(distribution) if unsettled and not asking else None
            if last_look is None:
                raise
            present = last_look
        else:
            if is_success(response):
                release(response)
                return PublishedFile(distribution, "uploaded", distribution.sha256)
            present = self._present(distribution, response)
            unsettled -= 1  # the last try was refused
        return _settle(distribution, present, self._if_exists, self._index, self._scratch, sent=unsettled > 0)

    def _sender(self, distribution: Distribution) -> Callable[[], requests.Response]:
        """Return a function that sends the file, until that has broken off too often."""
        broken_off = 0

        def send() -> requests.Response:
            nonlocal broken_off
            try:
                return with_renewal(lambda: self._post(distribution), self._source)
            except _BrokenOff:
                broken_off += 1
                if broken_off == _MOST_BROKEN_OFF:
                    raise self._not_taken(distribution) from None
                raise

        return send

    def _post(self, distribution: Distribution) -> requests.Response:
        """Send the file once. If the answer is lost, it may have been a refusal: ask again without the file."""
        try:
            with distribution.path.open("rb") as content:
                body = FormWithFile(form(distribution.package), "content", distribution.filename, content)
                with self._context.console.progress(distribution.filename, body.len) as body.show:
                    return self._session.post(
                        self._repository.upload_url,
                        data=body,
                        headers={"Content-Type": body.content_type},
                        auth=self._auth,
                        stream=True,
                        allow_redirects=False,
                    )
        except requests.ConnectionError as error:
            answer = None if isinstance(error, requests.Timeout) else self._post_nothing()
            if answer is None:
                raise
            if answer.status_code not in _NOT_ALLOWED:
                raise _BrokenOff(*error.args, request=error.request) from error
            return answer
        except requests.RequestException:
            raise
        except (OSError, FileChanged) as error:
            raise BuildFailure(
                f"{distribution.filename} can no longer be read: {getattr(error, 'strerror', error)}.",
                cause="another program removed or changed it during the run",
                fix="keep other programs out of the folder, and run it again",
                anchor="file-gone",
            ) from None

    def _post_nothing(self) -> requests.Response | None:
        """Upload nothing, and return the registry's answer, if there is one."""
        with contextlib.suppress(requests.RequestException):
            return self._session.post(self._repository.upload_url, auth=self._auth, allow_redirects=False)
        return None

    def _not_taken(self, distribution: Distribution) -> Unreachable:
        host = host_of(self._repository.upload_url)
        return Unreachable(
            f"Could not upload {distribution.filename}: the connection broke {_MOST_BROKEN_OFF} times, "
            f"although {host} answers.",
            cause=f"{host}, or a proxy on the way to it, does not accept a file of {human_size(distribution.size)}; or "
            "the network is unstable",
            fix="make the file smaller, or raise the limit of the proxy; in an unstable network, run it again",
            anchor="file-too-large",
        )

    def _listed(self, distribution: Distribution) -> IndexFile | None:
        return self._index.files(distribution.name).get(distribution.filename)

    def _listed_or_none(self, distribution: Distribution) -> IndexFile | None:
        with contextlib.suppress(Failure):
            return self._listed(distribution)
        return None

    def _present(self, distribution: Distribution, response: requests.Response) -> IndexFile:
        """Return the file that the registry says it already has."""
        with response:
            if not _exists_already(response):
                raise explain_refusal(response, self._repository, "upload")
        listed = self._index.wait_for(distribution.name, distribution.filename)
        if listed is None:
            raise FileRefused(
                f"The registry says that it already has {distribution.filename}, but its index does not list it.",
                cause="the file was uploaded a moment ago, and the index lags behind",
                fix="run again in a minute: identical files are skipped",
                anchor="read-back",
            )
        return listed


class _BrokenOff(requests.ConnectionError):
    """An upload broke off, although the registry answers."""


class _Found(Exception):
    """The index lists a file whose upload had no final answer."""

    def __init__(self, file: IndexFile) -> None:
        super().__init__()
        self.file = file


def _exists_already(response: requests.Response) -> bool:
    """Artifact Registry answers 400 `Requested entity already exists`, most others 409 (docs/fidelity.md)."""
    if response.status_code == requests.codes.bad_request:
        return "already exist" in f"{response.reason} {server_text(response)}".lower()
    return response.status_code == HTTPStatus.CONFLICT


def compare(
    distribution: Distribution,
    listed: Mapping[str, IndexFile],
    if_exists: IfExists,
    index: Index,
    scratch: Path | None,
) -> PublishedFile:
    """Return what to do with a file, given what the index lists for its project.

    With `skip-identical`, the contents decide. The result then has the registry's file, in the folder `scratch`.

    Raises:
        Conflict: `if_exists` does not allow it.
        Failure: The registry's file cannot be read.
    """
    present = listed.get(distribution.filename)
    if present is None:
        return PublishedFile(distribution, "would upload", distribution.sha256)
    return _settle(distribution, present, if_exists, index, scratch)


def _settle(
    distribution: Distribution,
    present: IndexFile,
    if_exists: IfExists,
    index: Index,
    scratch: Path | None,
    *,
    sent: bool = False,
) -> PublishedFile:
    """Return the outcome of a file whose name the registry already has.

    Args:
        distribution: The file.
        present: The registry's file.
        if_exists: What to do if another run uploaded it.
        index: Reads it.
        scratch: A folder for the registry's file; None to compare bytes alone.
        sent: Whether this run may have uploaded it; then an identical file is taken to be this run's.
    """
    if if_exists == "fail" and not sent:
        raise Conflict(
            f"The registry already has {distribution.filename}.",
            cause="with `if-exists: fail`, any file of that name is an error",
            fix=f"raise the version of {distribution.name}, or use `if-exists: skip-identical`",
            anchor="different-contents",
        )
    # A file that is skipped may be another build, and longer.
    theirs = present.sha256 or index.read_sha256(present, size=None if if_exists == "skip" else distribution.size)
    if theirs == distribution.sha256 and sent:
        return PublishedFile(distribution, "uploaded", theirs, present.url)
    if if_exists == "skip":
        return PublishedFile(distribution, "skipped", theirs, present.url)
    if theirs == distribution.sha256:
        return PublishedFile(distribution, "identical", theirs, present.url)
    if scratch is not None:
        return _compare_contents(distribution, present, index, Path(tempfile.mkdtemp(dir=scratch)))
    raise _different(
        distribution,
        f"registry sha256 {theirs or 'unknown (larger than this file)'}, this file's sha256 {distribution.sha256}",
    )


def _compare_contents(distribution: Distribution, present: IndexFile, index: Index, folder: Path) -> PublishedFile:
    copy = folder / distribution.filename
    try:
        theirs = index.read_sha256(present, size=_TIMES_LARGER * distribution.size + _LARGER, copy=copy)
        if not theirs or present.sha256 not in {None, theirs}:
            raise _different(distribution, "it is much larger, or not the file that the index lists")
        found = contents.compare(distribution.path, copy)
    except (ValueError, OSError) as error:
        raise _different(distribution, str(error)) from error
    if found.differences:
        raise _different(distribution, "; ".join(found.differences))
    try:
        registrys = read(copy)
    except BuildFailure as failure:
        raise _different(distribution, f"its metadata are invalid: {failure.detail or failure.what}") from failure
    backend = _BACKEND.match(found.rebuilt_by)
    by = f"built by another release of {backend[0]}" if backend else ""
    return PublishedFile(registrys, "identical", theirs, present.url, why=by)


def _different(distribution: Distribution, how: str) -> Conflict:
    return Conflict(
        f"The registry already has {distribution.filename} with different contents: {how}.",
        cause="this version was published before, and a registry never replaces a file; or its build adds "
        "the commit, the time, a random name or old files",
        fix=f"raise the version of {distribution.name}, or set `if-exists: skip` to keep the registry's file",
        anchor="different-contents",
    )


def read_back(distribution: Distribution, index: Index, on_listed: Callable[[], None] = lambda: None) -> str:
    """Download a file that was uploaded, compare its contents, and return the URL that the index lists for it.

    Args:
        distribution: The file.
        index: The index of the registry.
        on_listed: Called in another thread as soon as the index lists the file, with no other hash. The download may
            still run, or have failed.

    Raises:
        Failure: It is not there, cannot be read, or has different contents.
    """

    def look() -> IndexFile | None:
        found = index.wait_for(distribution.name, distribution.filename)
        if found and found.sha256 in {None, distribution.sha256}:
            on_listed()
        return found

    listing = in_background(look)
    there = index.read_unlisted(distribution.name, distribution.filename, distribution.size)
    file = listing.result()
    if not file:
        raise FileRefused(
            f"{distribution.filename} was uploaded, but the index does not list it.",
            cause="the index lags behind, or the upload went to another repository than the one that the index shows",
            fix="run again: identical files are skipped; or set `verify: false`",
            anchor="read-back",
        )
    if there and there.sha256 == distribution.sha256 and unquote(there.url) == unquote(file.url):
        theirs = there.sha256
    else:
        theirs = index.read_sha256(file, distribution.sha256, distribution.size)
    if theirs != distribution.sha256 or file.sha256 not in {None, theirs}:
        raise FileRefused(
            f"{distribution.filename} in {index.repository} does not match the upload or its index: downloaded sha256 "
            f"{theirs or 'unknown (larger than uploaded)'}, uploaded sha256 {distribution.sha256}, index sha256 "
            f"{file.sha256 or 'not listed'}.",
            cause="a cache or a proxy between this machine and the registry changes files",
            fix=index.repository.to_compare(distribution.name),
            anchor="read-back",
        )
    return file.url


class FileChanged(Exception):
    """A file became longer or shorter during its upload."""


class FormWithFile:
    """A multipart form with one file, as the body of a request.

    Args:
        fields: The other fields.
        name: The file's field.
        filename: The file's name in the form.
        content: The file, at its start.

    Attributes:
        content_type: The body's Content-Type header.
        len: The body's length in bytes; requests looks for this name.
        show: Called with the number of bytes read so far.
    """

    def __init__(self, fields: Iterable[tuple[str, str]], name: str, filename: str, content: IO[bytes]) -> None:
        mark = secrets.token_bytes(16)
        file = (filename, mark, "application/octet-stream")
        form, self.content_type = encode_multipart_formdata([*fields, (name, file)])
        before, _, after = form.partition(mark)
        self._parts = [BytesIO(before), content, BytesIO(after)]
        self._read = 0
        self.len = len(before) + os.fstat(content.fileno()).st_size + len(after)
        self.show: Callable[[int], None] = lambda _: None

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes; none at the end.

        Raises:
            FileChanged: The file became longer or shorter.
        """
        piece = b""
        while self._parts and not (piece := self._parts[0].read(size)):
            del self._parts[0]
        self._read += len(piece)
        if self._read > self.len or (self._read < self.len and not piece):
            raise FileChanged("its size changed")
        self.show(self._read)
        return piece


def form(package: "PackageFile") -> Iterator[tuple[str, str]]:
    """Return the fields that twine sends with a file."""
    fields: Mapping[str, Any] = package.metadata_dictionary()
    for name, value in fields.items():
        if name == "project_urls":
            yield from ((name, f"{label}, {url}") for label, url in value.items())
        elif name == "keywords":
            yield name, ", ".join(value)
        elif isinstance(value, str):
            yield name, value
        else:
            yield from ((name, each) for each in value)
    yield ":action", "file_upload"
    yield "protocol_version", "1"
