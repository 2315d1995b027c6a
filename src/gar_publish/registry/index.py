"""Reads a simple index: which files it lists, and their contents."""

import hashlib
import html
import re
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import DefragResult, quote, unquote, urldefrag, urljoin, urlsplit

import requests

from gar_publish.auth.http_auth import HostAuth, with_renewal
from gar_publish.auth.tokens import TokenSource
from gar_publish.console import printable
from gar_publish.context import LAG_WAITS, Context
from gar_publish.errors import Failure, RegistryRefused
from gar_publish.registry.refusals import explain_refusal
from gar_publish.settings.repository import Repository, is_web_url
from gar_publish.transport.retry import UnusableAnswer, poll, with_retries
from gar_publish.transport.session import chunks, is_success
from gar_publish.urls import host_of, origin

_MOST_FILES = 100_000
_PAGE_LIMIT = 16 * 1024 * 1024
_FILE_LIMIT = 16 * 1024**3
"""The longest file that is read where its size is not known, in bytes."""
_MORE_READINGS = 2

_ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"
_JSON = {"application/json", "application/vnd.pypi.simple.v1+json"}
_HTML = {"text/html", "application/xhtml+xml", "application/vnd.pypi.simple.v1+html"}

_SHA256 = re.compile(r"[0-9a-f]{64}")
_LONGEST_URL = 4096  # int() refuses a port with more than 4,300 digits
# Python's own HTML parser takes time that grows with the square of a hostile page's size; these take linear time.
_ANCHOR = re.compile(
    r"""<!--.*?(?:-->|\Z)|<a\s(?P<attributes>(?:[^<>"']++|"[^"]*+"|'[^']*+')*+)>""", re.DOTALL | re.IGNORECASE
)
_ATTRIBUTE = re.compile(r"""(?<![^\s"'=/])([^\s"'=/]++)\s*+=\s*+("[^"]*+"|'[^']*+'|[^\s"']++)""")

Taken = TypeVar("Taken")


@dataclass(frozen=True)
class IndexFile:
    """A file that the index lists.

    Attributes:
        filename: The distribution's file name.
        url: Its absolute URL, without a fragment.
        sha256: Its hash in lower-case hex, or None where the index gives none.
    """

    filename: str
    url: str
    sha256: str | None


class Index:
    """A simple index (PEP 503 as HTML, PEP 691 as JSON), read as one identity. Threads may share it."""

    def __init__(
        self, repository: Repository, context: Context, session: requests.Session, source: TokenSource
    ) -> None:
        self.repository = repository
        self._context = context
        self._session = session
        self._source = source
        self._auth = HostAuth(repository.index_url, source)

    def files(self, name: str) -> Mapping[str, IndexFile]:
        """Return the files of the project `name` (normalised) by file name; none if the index has no such project.

        Raises:
            Failure: The index refuses, or cannot be reached.
        """
        url = f"{self.repository.index_url}{name}/"
        response, listed = self._get(url, f"look up {name}", lambda page: self._read_page(page, url), accept=_ACCEPT)
        if response.status_code == requests.codes.not_found:
            return {}
        if listed is None:
            raise explain_refusal(response, self.repository, "read")
        return listed

    def wait_for(self, name: str, filename: str) -> IndexFile | None:
        """Return a file that was just uploaded, or None if the index does not list it within half a minute.

        Raises:
            Failure: The index refuses, or cannot be reached.
        """
        why = f"the index does not list {filename} yet"
        return poll(lambda: self.files(name).get(filename), bool, LAG_WAITS, why, self._context)

    def read_unlisted(self, name: str, filename: str, size: int) -> IndexFile | None:
        """Read a file where Artifact Registry serves it, below the URL for uploads, without a look into the index.

        Returns:
            The file with the hash of its contents; None if it is not there, or for another index.

        Raises:
            Failure: The server cannot be reached.
        """
        if self.repository.resource is None:
            return None
        url = f"{self.repository.upload_url}{name}/{quote(filename)}"
        _, sha256 = self._get(url, f"read {filename} back", lambda body: self._hash(body, filename, size, None))
        return None if sha256 is None else IndexFile(filename, url, sha256)

    def read_sha256(
        self, file: IndexFile, expected: str | None = None, size: int | None = None, *, copy: Path | None = None
    ) -> str:
        """Download a file and hash it. If the hash is not the expected one, repeat until two readings agree.

        Args:
            file: The file.
            expected: The expected hash, if not the one that the index lists.
            size: The expected size, if known.
            copy: A path to write the file to.

        Returns:
            The hash in lower-case hex; empty if the file is longer than expected.

        Raises:
            Failure: It cannot be read.
            OSError: The copy cannot be written.
        """
        size = size or _FILE_LIMIT
        sha256 = self._read_once(file, size, copy)
        accepted = {expected or file.sha256 or sha256}
        for _ in range(_MORE_READINGS):
            if sha256 in accepted:
                break
            accepted.add(sha256)
            sha256 = self._read_once(file, size, copy)
        return sha256

    def _read_once(self, file: IndexFile, size: int, copy: Path | None) -> str:
        """Read it as soon as it is there: an index may list a file before it serves it."""
        response, sha256 = poll(
            lambda: self._get(
                file.url, f"read {file.filename}", lambda body: self._hash(body, file.filename, size, copy)
            ),
            lambda answer: answer[0].status_code != requests.codes.not_found,
            LAG_WAITS,
            f"the index does not serve {file.filename} yet",
            self._context,
        )
        if sha256 is None:
            raise explain_refusal(response, self.repository, "read", file=file.filename)
        return sha256

    def _read_page(self, response: requests.Response, url: str) -> Mapping[str, IndexFile]:
        page = bytearray()
        for chunk in chunks(response, self._context.retry_policy.timeouts[1]):
            page += chunk
            if len(page) > _PAGE_LIMIT:
                raise UnusableAnswer(response, _not_an_index(url))
        kind = response.headers.get("Content-Type", "text/html" if page else "").partition(";")[0].strip().lower()
        try:
            if kind in _JSON:
                return parse_json(bytes(page), url)
            if kind in _HTML:
                return parse_html(bytes(page), url)
        except RegistryRefused as failure:
            raise UnusableAnswer(response, failure) from None
        raise UnusableAnswer(response, _not_an_index(url))

    def _hash(self, response: requests.Response, filename: str, size: int, copy: Path | None) -> str:
        digest, received = hashlib.sha256(), 0
        length = response.headers.get("Content-Length", "")
        progress = self._context.console.progress(f"read {filename}", int(length) if length.isdecimal() else size)
        with response, progress as show, copy.open("wb") if copy else nullcontext() as kept:
            for chunk in chunks(response, self._context.retry_policy.timeouts[1]):
                digest.update(chunk)
                received += len(chunk)
                show(received)
                if received > size:
                    return ""
                if kept:
                    kept.write(chunk)
        return digest.hexdigest()

    def _get(
        self, url: str, what: str, take: Callable[[requests.Response], Taken], accept: str = "*/*"
    ) -> tuple[requests.Response, Taken | None]:
        """Make a request and take the body of a good answer, again if the body breaks off."""
        # Hashes are of the files themselves, so no content coding.
        headers = {"Accept": accept, "Accept-Encoding": "identity"}
        hooks = {"response": self._check_redirect}
        taken: Taken | None = None
        self._check_host(url)

        def ask() -> requests.Response:
            nonlocal taken
            response = with_renewal(
                lambda: self._session.get(url, auth=self._auth, headers=headers, hooks=hooks, stream=True), self._source
            )
            if is_success(response):
                taken = take(response)
            return response

        return with_retries(ask, self._context, what), taken

    def _check_redirect(self, response: requests.Response, **_: object) -> None:
        if target := self._session.get_redirect_target(response):
            self._check_host(urljoin(response.url, target))

    def _check_host(self, url: str) -> None:
        """Refuse what is neither of the index's origin nor on a host that the user names.

        Raises:
            RegistryRefused: It is elsewhere, maybe in an internal network that only this machine can reach.
        """
        host = urlsplit(url).hostname
        if origin(url) == origin(self.repository.index_url) or host in self.repository.file_hosts:
            return
        raise RegistryRefused(
            f"The index at {host_of(self.repository.index_url)} sends gar-publish to another host: "
            f"{urlsplit(url).scheme}://{host_of(url)}",
            cause="that host may be an internal one, which the index itself cannot reach",
            fix=f"if your registry keeps its files there, set `file-hosts: {host}`",
            anchor="file-hosts",
        )


def parse_html(body: bytes, url: str) -> Mapping[str, IndexFile]:
    """Return the links of a PEP 503 page; relative ones start from `url`.

    Raises:
        RegistryRefused: It is not such a page.
    """
    try:
        page = body.decode()
    except UnicodeDecodeError:
        raise _not_an_index(url) from None
    files = {}
    for tag in _ANCHOR.finditer(page):
        for name, value in _ATTRIBUTE.findall(tag["attributes"] or ""):
            if name.lower() != "href" or len(value) > _LONGEST_URL:
                continue
            if target := _resolve(url, html.unescape(value.strip("\"'"))):
                algorithm, _, digest = target.fragment.partition("=")
                filename = unquote(urlsplit(target.url).path.rpartition("/")[2])
                files[filename] = IndexFile(filename, target.url, _sha256(digest) if algorithm == "sha256" else None)
        if len(files) > _MOST_FILES:
            raise _not_an_index(url)
    return files


def parse_json(body: bytes, url: str) -> Mapping[str, IndexFile]:
    """Return the files of a PEP 691 page; relative URLs start from `url`.

    Raises:
        RegistryRefused: It is not such a page.
    """
    import json  # only an index that answers JSON needs it

    try:
        listed = json.loads(body)["files"]
        if len(listed) > _MOST_FILES:
            raise _not_an_index(url)
        return {
            each["filename"]: IndexFile(each["filename"], target.url, _sha256(each.get("hashes", {}).get("sha256")))
            for each in listed
            if isinstance(each["filename"], str) and (target := _resolve(url, each["url"]))
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _not_an_index(url) from None


def _not_an_index(url: str) -> Failure:
    return RegistryRefused(
        f"{url} answered with something that is not a simple index.",
        cause="a proxy or a login page answered in place of the registry, or the URL is not an index",
        fix=f"open {url} in a browser, and compare `repository` with what you see",
        anchor="not-an-index",
    )


def _resolve(url: str, link: str) -> DefragResult | None:
    """Return the absolute URL of a link, or None if it is not a web URL."""
    if len(link) > _LONGEST_URL or printable(link) != link:
        return None
    try:
        target = urldefrag(urljoin(url, link))
    except ValueError:
        return None
    return target if is_web_url(target.url) else None


def _sha256(value: object) -> str | None:
    return value.lower() if isinstance(value, str) and _SHA256.fullmatch(value.lower()) else None
