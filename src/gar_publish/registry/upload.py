"""The write side of the registry: one file at a time, in twine's form, settled by its hash."""

import contextlib
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import unquote

import requests
from urllib3 import encode_multipart_formdata

from gar_publish.auth.http_auth import HostAuth, with_renewal
from gar_publish.auth.tokens import TokenSource
from gar_publish.console import Console
from gar_publish.context import RetryPolicy
from gar_publish.distributions.distribution import Distribution
from gar_publish.errors import BuildFailure, Conflict, Failure, FileRefused, Unreachable
from gar_publish.registry.index import Index, IndexFile
from gar_publish.registry.outcomes import PublishedFile
from gar_publish.registry.refusals import explain_refusal
from gar_publish.settings.settings import IfExists
from gar_publish.threads import aside
from gar_publish.transport.answers import server_text
from gar_publish.transport.retry import persist
from gar_publish.transport.session import is_success, release

if TYPE_CHECKING:
    from twine.package import PackageFile


class FileChanged(Exception):
    """A file has become longer or shorter while it was sent."""


class FormWithFile:
    """The body of a request.

    Args:
        fields: The form's fields but the file's.
        name: The field with the file.
        filename: What the file is called.
        content: The file, from its beginning to where it ends now.

    Attributes:
        content_type: The header that goes with the body.
        len: How many bytes it has; requests looks for that name.
        show: Is told how many of them have been read.
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
        """The next bytes; none at the end.

        Raises:
            FileChanged: More came than was announced, or less.
        """
        piece = b""
        while self._parts and not (piece := self._parts[0].read(size)):
            del self._parts[0]
        self._read += len(piece)
        if self._read > self.len or (self._read < self.len and not piece):
            raise FileChanged("it has become longer or shorter")
        self.show(self._read)
        return piece


def read_back(distribution: Distribution, index: Index) -> str:
    """Download a file that was uploaded, and compare its bytes; where it is served is asked meanwhile.

    Returns:
        Where the index serves it.

    Raises:
        Failure: It is not there, or cannot be read, or has other bytes.
    """
    listing = aside(lambda: index.find(distribution.name, distribution.filename))
    there = index.peek(distribution.name, distribution.filename, distribution.size)
    listed = listing.result()
    if not listed:
        raise FileRefused(
            f"{distribution.filename} was uploaded, but the index does not list it.",
            cause="the index lags behind, or the upload went to another repository than the index shows",
            fix="run again: what is there is skipped; or set `verify: false`",
            anchor="read-back",
        )
    if there and there.sha256 == distribution.sha256 and unquote(there.url) == unquote(listed.url):
        theirs = there.sha256
    else:
        theirs = index.read_sha256(listed, distribution.sha256, distribution.size)
    if theirs != distribution.sha256 or listed.sha256 not in {None, theirs}:
        raise FileRefused(
            f"{distribution.filename} came back from the index with other bytes: "
            f"sha256 {theirs or 'of a longer file'}, sent was {distribution.sha256}.",
            cause="something between this machine and the registry changes files",
            fix=f"compare with: gcloud artifacts files list --package={distribution.name}",
            anchor="read-back",
        )
    return listed.url


_NOTHING_DONE = frozenset({408, 429})
"""Answers that mean that nothing was taken (RFC 9110, section 15.5.9; RFC 6585, section 4)."""


class Uploader:
    """Posts files to one repository (the legacy upload API that twine speaks). May be shared by threads.

    Args:
        url: Its upload URL.
        session: What requests are made with.
        source: Who publishes.
        index: Reads what is there.
        if_exists: What to do with a file that another run sent meanwhile.
        retry_policy: How long to insist on an answer.
        console: Learns how far an upload is.
    """

    def __init__(
        self,
        url: str,
        *,
        session: requests.Session,
        source: TokenSource,
        index: Index,
        if_exists: IfExists,
        retry_policy: RetryPolicy,
        console: Console,
    ) -> None:
        self._session = session
        self._source = source
        self._auth = HostAuth(url, source)
        self._url = url
        self._index = index
        self._if_exists = if_exists
        self._retry_policy = retry_policy
        self._console = console

    def upload(self, distribution: Distribution) -> PublishedFile:
        """Send one file that the index did not hold a moment ago.

        Where a try ended without a final answer, the file may have landed all the same: the index is asked before the
        bytes are sent again. A file that another run sent meanwhile is settled as `settle` has it.

        Raises:
            Failure: The registry refuses, cannot be reached, or holds what must not be there.
        """
        sent, in_doubt, looking = 0, False, False

        def attempt() -> requests.Response:
            nonlocal sent, in_doubt, looking
            if in_doubt:
                in_doubt, looking = False, True
                if present := self._listed(distribution):
                    raise _Landed(present)
                looking = False
            sent, in_doubt = sent + 1, True
            response = with_renewal(lambda: self._post(distribution), self._source)
            if response.status_code in _NOTHING_DONE:
                sent, in_doubt = sent - 1, False
            return response

        try:
            response = persist(
                attempt,
                retry_policy=self._retry_policy,
                what=f"upload {distribution.filename}",
                on_wait=self._console.info,
            )
        except _Landed as landed:
            present = landed.present
        except Unreachable:
            last = self._last_look(distribution) if sent and not looking else None
            if last is None:
                raise
            present = last
        else:
            if is_success(response):
                release(response)
                return PublishedFile(distribution, "uploaded", distribution.sha256)
            present = self._present(distribution, response)
            sent -= 1  # the last one was refused
        return settle(distribution, present, self._if_exists, self._index, sent=sent > 0)

    def _post(self, distribution: Distribution) -> requests.Response:
        try:
            with distribution.path.open("rb") as content:
                body = FormWithFile(form(distribution.package), "content", distribution.filename, content)
                with self._console.progress(distribution.filename, body.len) as body.show:
                    return self._session.post(
                        self._url,
                        data=body,
                        headers={"Content-Type": body.content_type},
                        auth=self._auth,
                        stream=True,
                        allow_redirects=False,
                    )
        except requests.RequestException:
            raise
        except (OSError, FileChanged) as error:
            raise BuildFailure(
                f"{distribution.filename} can be read no more: {getattr(error, 'strerror', error)}.",
                cause="something removed or changed it while it was published",
                fix="keep other programs out of the folder, and run it again",
                anchor="file-gone",
            ) from None

    def _listed(self, distribution: Distribution) -> IndexFile | None:
        return self._index.files(distribution.name).get(distribution.filename)

    def _last_look(self, distribution: Distribution) -> IndexFile | None:
        with contextlib.suppress(Failure):
            return self._listed(distribution)
        return None

    def _present(self, distribution: Distribution, response: requests.Response) -> IndexFile:
        """The file that the registry says to hold already."""
        with response:
            said = server_text(response)
            if not _exists_already(response, said):
                raise explain_refusal(response, said, action="upload")
        listed = self._index.find(distribution.name, distribution.filename)
        if listed is None:
            raise FileRefused(
                f"The registry says that it holds {distribution.filename} already, but its index does not list it.",
                cause="the file was uploaded a moment ago, and the index lags behind",
                fix="run again in a minute: the same bytes are skipped",
                anchor="read-back",
            )
        return listed


def form(package: "PackageFile") -> Iterator[tuple[str, str]]:
    """The fields that go with a file, as twine sends them."""
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


def compare(
    distribution: Distribution, listed: Mapping[str, IndexFile], if_exists: IfExists, index: Index
) -> PublishedFile:
    """What to do with a file, given what the index lists for its project.

    Raises:
        Conflict: It must not be published under `if_exists`.
        Failure: What is there cannot be read.
    """
    present = listed.get(distribution.filename)
    if present is None:
        return PublishedFile(distribution, "would upload", distribution.sha256)
    return settle(distribution, present, if_exists, index)


def settle(
    distribution: Distribution, present: IndexFile, if_exists: IfExists, index: Index, *, sent: bool = False
) -> PublishedFile:
    """What becomes of a file whose name the registry holds: its hash decides, as listed or else as downloaded.

    Args:
        distribution: The file.
        present: What the registry holds.
        if_exists: What to do where another run brought it there.
        index: Reads it.
        sent: Whether this run has sent the file and does not know whether it landed. Then the same bytes are its own.

    Raises:
        Conflict: It must not be published under `if_exists`.
        Failure: What is there cannot be read.
    """
    if if_exists == "fail" and not sent:
        raise Conflict(
            f"The registry holds {distribution.filename} already.",
            cause="`if-exists: fail` takes any file of that name as an error",
            fix=f"raise the version of {distribution.name}, or leave `if-exists` at skip-identical",
            anchor="other-bytes",
        )
    # What is left as it is may be another build, and longer.
    theirs = present.sha256 or index.read_sha256(present, size=None if if_exists == "skip" else distribution.size)
    if theirs == distribution.sha256 and sent:
        return PublishedFile(distribution, "uploaded", theirs, present.url)
    if if_exists == "skip":
        return PublishedFile(distribution, "skipped", theirs, present.url)
    if theirs == distribution.sha256:
        return PublishedFile(distribution, "identical", theirs, present.url)
    raise Conflict(
        f"The registry holds {distribution.filename} already, with other bytes "
        f"(sha256 {theirs or 'of a longer file'}) than this one (sha256 {distribution.sha256}).",
        cause="this version was published before and its content changed since; a registry never replaces a file",
        fix=f"raise the version of {distribution.name}, or set `if-exists: skip` to keep what is there",
        anchor="other-bytes",
    )


class _Landed(Exception):
    """The index holds a file whose answer was lost: nothing is left to be sent."""

    def __init__(self, present: IndexFile) -> None:
        super().__init__()
        self.present = present


def _exists_already(response: requests.Response, said: str) -> bool:
    """GAR answers 400 `Requested entity already exists`, most others 409 (docs/fidelity.md)."""
    if response.status_code == requests.codes.bad_request:
        return "already exist" in f"{response.reason} {said}".lower()
    return response.status_code == 409  # noqa: PLR2004 - Conflict
