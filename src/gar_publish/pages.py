"""The pages of a simple index: which files they list, as HTML (PEP 503) and as JSON (PEP 691)."""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import DefragResult, unquote, urldefrag, urljoin, urlsplit

from gar_publish.console import printable
from gar_publish.errors import Failure, RegistryRefused
from gar_publish.repository import is_web_url

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
