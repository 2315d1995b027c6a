"""The read side of the registry: which files it holds, with which bytes."""

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
from gar_publish.context import RetryPolicy
from gar_publish.errors import Failure, RegistryRefused
from gar_publish.registry.refusals import explain_refusal
from gar_publish.settings.repository import is_web_url
from gar_publish.transport.answers import server_text
from gar_publish.transport.retry import Unsound, persist
from gar_publish.transport.session import is_success, pieces

_MOST_FILES = 100_000
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LONGEST_URL = 4096  # and no number in it is longer than int() reads
# A hostile page costs Python's own parser time that grows with the square of its size. These look at each byte once.
_ANCHOR = re.compile(
    r"""<!--.*?(?:-->|\Z)|<a\s(?P<attributes>(?:[^<>"']++|"[^"]*+"|'[^']*+')*+)>""", re.DOTALL | re.IGNORECASE
)
_ATTRIBUTE = re.compile(r"""(?<![^\s"'=/])([^\s"'=/]++)\s*+=\s*+("[^"]*+"|'[^']*+'|[^\s"']++)""")


@dataclass(frozen=True)
class IndexFile:
    """A file as the simple index lists it.

    Attributes:
        filename: The distribution's file name.
        url: Where its bytes are, absolute and without a fragment.
        sha256: Its hash in lower-case hex, or None where the index gives none.
    """

    filename: str
    url: str
    sha256: str | None


def parse_html(body: bytes, url: str) -> Mapping[str, IndexFile]:
    """The links of a PEP 503 page; `url` is what relative ones start from.

    Raises:
        RegistryRefused: It is not such a page.
    """
    try:
        page = body.decode()
    except UnicodeDecodeError:
        raise not_an_index(url) from None
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
            raise not_an_index(url)
    return files


def parse_json(body: bytes, url: str) -> Mapping[str, IndexFile]:
    """The files of a PEP 691 page; `url` is what relative ones start from.

    Raises:
        RegistryRefused: It is not such a page.
    """
    import json  # only an index that answers JSON needs it

    try:
        listed = json.loads(body)["files"]
        if len(listed) > _MOST_FILES:
            raise not_an_index(url)
        return {
            each["filename"]: IndexFile(each["filename"], target.url, _sha256(each.get("hashes", {}).get("sha256")))
            for each in listed
            if isinstance(each["filename"], str) and (target := _resolve(url, each["url"]))
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise not_an_index(url) from None


def not_an_index(url: str) -> Failure:
    """The failure of an answer that is no such page."""
    return RegistryRefused(
        f"{url} answered with something that is not a simple index.",
        cause="a proxy or a login page answered in the registry's place, or the URL is not an index",
        fix=f"open {url} in a browser, and compare `repository` with what you see",
        anchor="not-an-index",
    )


def _resolve(url: str, link: str) -> DefragResult | None:
    """Where a link of a page leads to; None where it is no URL, so no file either."""
    if len(link) > _LONGEST_URL or printable(link) != link:
        return None
    try:
        target = urldefrag(urljoin(url, link))
    except ValueError:
        return None
    return target if is_web_url(target.url) else None


def _sha256(value: object) -> str | None:
    return value.lower() if isinstance(value, str) and _SHA256.fullmatch(value.lower()) else None


_ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"
_PAGE_LIMIT = 16 * 1024 * 1024
_LONGEST_FILE = 16 * 1024**3
"""Bytes of a file whose size is not known before."""
_JSON = {"application/json", "application/vnd.pypi.simple.v1+json"}
_HTML = {"text/html", "application/xhtml+xml", "application/vnd.pypi.simple.v1+html"}
_MORE_READINGS = 2
_LAG_WAITS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds between looks into an index that lags behind its uploads; about 30 in all."""

Taken = TypeVar("Taken")


class Index:
    """A simple repository (PEP 503 as HTML, PEP 691 as JSON), read with one credential.

    Args:
        url: The index, with a trailing slash.
        files_url: Where it serves files, as `NAME/FILE` below; None where only its pages tell.
    """

    def __init__(
        self,
        url: str,
        *,
        files_url: str | None = None,
        session: requests.Session,
        source: TokenSource,
        retry_policy: RetryPolicy,
        on_wait: Callable[[str], None],
    ) -> None:
        self.url = url
        self._files_url = files_url
        self._session = session
        self._source = source
        self._auth = HostAuth(url, source)
        self._retry_policy = retry_policy
        self._on_wait = on_wait

    def files(self, name: str) -> Mapping[str, IndexFile]:
        """The files of the project `name` (normalised) by file name; none where the index does not know it.

        Raises:
            Failure: The index refuses, or cannot be reached.
        """
        url = f"{self.url}{name}/"
        response, listed = self._get(url, f"look up {name}", lambda page: self._listed(page, url), accept=_ACCEPT)
        if response.status_code == requests.codes.not_found:
            return {}
        if listed is None:
            raise explain_refusal(response, server_text(response), action="read")
        return listed

    def find(self, name: str, filename: str) -> IndexFile | None:
        """A file that was uploaded a moment ago, waiting up to half a minute for an index that lags behind.

        Raises:
            Failure: The index refuses, or cannot be reached.
        """
        for seconds in _LAG_WAITS:
            if listed := self.files(name).get(filename):
                return listed
            self._wait(seconds, f"the index does not list {filename} yet")
        return self.files(name).get(filename)

    def peek(self, name: str, filename: str, size: int) -> IndexFile | None:
        """A file where it should be, without asking the index: a round trip less.

        Returns:
            The file with the hash of its bytes; None if it is not there.

        Raises:
            Failure: No proper answer, however often it was asked.
        """
        if self._files_url is None:
            return None
        url = f"{self._files_url}{name}/{quote(filename)}"
        _, sha256 = self._get(url, f"read {filename} back", lambda body: self._hash(body, size, None))
        return None if sha256 is None else IndexFile(filename, url, sha256)

    def read_sha256(
        self, file: IndexFile, expected: str | None = None, size: int | None = None, *, copy: Path | None = None
    ) -> str:
        """Download a file and hash what came; where that is not what was expected, until two readings agree.

        Args:
            file: The file.
            expected: The hash that it should have, if not the one that the index lists.
            size: How many bytes it should have at most, where that is known.
            copy: Where to keep what came.

        Returns:
            Its hash in lower-case hex; empty where it is longer than it should be.

        Raises:
            Failure: It cannot be read.
            OSError: The copy cannot be written.
        """
        size = size or _LONGEST_FILE
        sha256 = self._read_once(file, size, copy)
        believed = {expected or file.sha256 or sha256}
        for _ in range(_MORE_READINGS):
            if sha256 in believed:
                break
            believed.add(sha256)
            sha256 = self._read_once(file, size, copy)
        return sha256

    def _read_once(self, file: IndexFile, size: int, copy: Path | None) -> str:
        """Read it now, or as soon as it can be had: an index may list a file before it hands it out."""
        waits = iter(_LAG_WAITS)
        while True:
            response, sha256 = self._get(file.url, f"read {file.filename}", lambda body: self._hash(body, size, copy))
            if sha256 is not None:
                return sha256
            seconds = next(waits, None) if response.status_code == requests.codes.not_found else None
            if seconds is None:
                raise explain_refusal(response, server_text(response), action="read")
            self._wait(seconds, f"the index does not hand out {file.filename} yet")

    def _wait(self, seconds: float, why: str) -> None:
        self._on_wait(f"{why}; looking again in {seconds} s")
        self._retry_policy.sleep(seconds)

    def _listed(self, response: requests.Response, url: str) -> Mapping[str, IndexFile]:
        page = bytearray()
        for piece in pieces(response, self._retry_policy.timeouts[1]):
            page += piece
            if len(page) > _PAGE_LIMIT:
                raise Unsound(response, not_an_index(url))
        kind = response.headers.get("Content-Type", "text/html" if page else "").partition(";")[0].strip().lower()
        try:
            if kind in _JSON:
                return parse_json(bytes(page), url)
            if kind in _HTML:
                return parse_html(bytes(page), url)
        except RegistryRefused as failure:
            raise Unsound(response, failure) from None
        raise Unsound(response, not_an_index(url))

    def _hash(self, response: requests.Response, size: int, copy: Path | None) -> str:
        digest, received = hashlib.sha256(), 0
        with response, copy.open("wb") if copy else nullcontext() as kept:
            for piece in pieces(response, self._retry_policy.timeouts[1]):
                digest.update(piece)
                received += len(piece)
                if received > size:
                    return ""
                if kept:
                    kept.write(piece)
        return digest.hexdigest()

    def _get(
        self, url: str, what: str, take: Callable[[requests.Response], Taken], accept: str = "*/*"
    ) -> tuple[requests.Response, Taken | None]:
        """Ask, and take the body of a good answer; one that breaks off is asked for again."""
        # Files are compared as they are: no content coding on the way.
        headers = {"Accept": accept, "Accept-Encoding": "identity"}
        taken: Taken | None = None

        def ask() -> requests.Response:
            nonlocal taken
            response = with_renewal(
                lambda: self._session.get(url, auth=self._auth, headers=headers, stream=True), self._source
            )
            if is_success(response):
                taken = take(response)
            return response

        return persist(ask, retry_policy=self._retry_policy, what=what, on_wait=self._on_wait), taken
