"""The read side of the registry: which files it holds, with which bytes."""

import hashlib
import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import DefragResult, unquote, urldefrag, urljoin, urlsplit

import requests

from gar_publish.console import printable
from gar_publish.credentials import TokenSource
from gar_publish.errors import Failure, RegistryRefused
from gar_publish.http import HostAuth, Patience, persist, with_renewal
from gar_publish.refusals import explain_refusal, server_text

_ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"
_PAGE_LIMIT = 64 * 1024 * 1024
_BLOCK = 1024 * 1024
_LAG_WAITS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Seconds between looks into an index that lags behind its uploads; about 30 in all."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LONGEST_URL = 4096  # and no number in it is longer than int() reads
# A hostile page costs Python's own parser time that grows with the square of its size. These never go back.
_ANCHOR = re.compile(
    r"""<!--.*?(?:-->|\Z)|<a\s(?P<attributes>(?:[^<>"']++|"[^"]*+"|'[^']*+')*+)>""", re.DOTALL | re.IGNORECASE
)
_ATTRIBUTE = re.compile(r"""([^\s"'=/]++)\s*+=\s*+("[^"]*+"|'[^']*+'|[^\s"']++)""")

Taken = TypeVar("Taken")


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


class Index:
    """A simple repository (PEP 503 as HTML, PEP 691 as JSON), read with one credential."""

    def __init__(
        self,
        url: str,
        *,
        session: requests.Session,
        source: TokenSource,
        patience: Patience,
        on_wait: Callable[[str], None],
    ) -> None:
        self.url = url
        self._session = session
        self._source = source
        self._auth = HostAuth(url, source)
        self._patience = patience
        self._on_wait = on_wait

    def files(self, name: str) -> Mapping[str, IndexFile]:
        """The files of the project `name` (normalised) by file name; none where the index does not know it.

        Raises:
            Failure: The index refuses, or cannot be reached.
        """
        url = f"{self.url}{name}/"
        response, page = self._get(url, f"look up {name}", _read_page, accept=_ACCEPT)
        if response.status_code == requests.codes.not_found:
            return {}
        if page is None:
            raise explain_refusal(response, server_text(response), action="read")
        return parse_json(page, url) if "json" in response.headers.get("Content-Type", "") else parse_html(page, url)

    def find(self, name: str, filename: str) -> IndexFile | None:
        """A file that was uploaded a moment ago, waiting up to half a minute for an index that lags behind.

        Raises:
            Failure: The index refuses, or cannot be reached.
        """
        for seconds in _LAG_WAITS:
            if listed := self.files(name).get(filename):
                return listed
            self._patience.sleep(seconds)
        return self.files(name).get(filename)

    def read_sha256(self, file: IndexFile) -> str:
        """Download a file and hash what came.

        Raises:
            Failure: It cannot be read.
        """
        response, sha256 = self._get(file.url, f"read {file.filename} back", _hash)
        if sha256 is None:
            raise explain_refusal(response, server_text(response), action="read")
        return sha256

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
            if response.ok:
                with response:
                    taken = take(response)
            return response

        return persist(ask, patience=self._patience, what=what, on_wait=self._on_wait), taken


def _read_page(response: requests.Response) -> bytes:
    page = b""
    for block in response.iter_content(_BLOCK):
        page += block
        if len(page) > _PAGE_LIMIT:
            raise _not_an_index(response.url)
    return page


def _hash(response: requests.Response) -> str:
    digest = hashlib.sha256()
    for block in response.iter_content(_BLOCK):
        digest.update(block)
    return digest.hexdigest()


def parse_html(body: bytes, url: str) -> Mapping[str, IndexFile]:
    """The links of a PEP 503 page; `url` is what relative ones start from."""
    files = {}
    for tag in _ANCHOR.finditer(body.decode("utf-8", "replace")):
        for name, value in _ATTRIBUTE.findall(tag["attributes"] or ""):
            if name.lower() != "href" or len(value) > _LONGEST_URL:
                continue
            if target := _resolve(url, html.unescape(value.strip("\"'"))):
                algorithm, _, digest = target.fragment.partition("=")
                filename = unquote(urlsplit(target.url).path.rpartition("/")[2])
                files[filename] = IndexFile(filename, target.url, _sha256(digest) if algorithm == "sha256" else None)
    return files


def parse_json(body: bytes, url: str) -> Mapping[str, IndexFile]:
    """The files of a PEP 691 page; `url` is what relative ones start from.

    Raises:
        RegistryRefused: It is not such a page.
    """
    import json  # only an index that answers JSON needs it

    try:
        listed = json.loads(body)["files"]
        return {
            each["filename"]: IndexFile(each["filename"], target.url, _sha256(each.get("hashes", {}).get("sha256")))
            for each in listed
            if (target := _resolve(url, each["url"]))
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _not_an_index(url) from None


def _resolve(url: str, link: str) -> DefragResult | None:
    """Where a link of a page leads to; None where it is no URL, so no file either."""
    if len(link) > _LONGEST_URL or printable(link) != link:
        return None
    try:
        return urldefrag(urljoin(url, link))
    except ValueError:
        return None


def _sha256(value: object) -> str | None:
    return value.lower() if isinstance(value, str) and _SHA256.fullmatch(value.lower()) else None


def _not_an_index(url: str) -> Failure:
    return RegistryRefused(
        f"{url} answered with something that is not a simple index.",
        cause="a proxy or a login page answered in the registry's place, or the URL is not an index",
        fix=f"open {url} in a browser, and compare `repository` with what you see",
        anchor="not-an-index",
    )
