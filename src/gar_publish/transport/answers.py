"""A server's answer: its JSON, and its text as it may be shown."""

import re
from typing import Any

import requests

from gar_publish.console import printable

_LONGEST_TEXT = 2000
_SECRETS = re.compile(
    r"(?i:\b(?:basic|bearer))\s+(?=[\w.~+/-]*[A-Z0-9=])[\w.~+/=-]{8,}|\beyJ[\w-]{10,}[\w.-]*|\bya29\.[\w.-]+"
)
"""Authorization headers (RFC 7617, RFC 6750), JSON web tokens, and Google's access tokens."""


def json_of(response: requests.Response) -> Any:
    """Return the JSON of an answer; None if it is not JSON, or is nested too deeply."""
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None


def server_text(response: requests.Response) -> str:
    """Return the start of an answer's body as `harmless` plain text without HTML markup."""
    text = response.content[: _LONGEST_TEXT * 4].decode("utf-8", "replace")
    if "<html" in text.lower() or "<!doctype" in text.lower():
        text = re.sub(r"<(script|style)\b.*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL | re.IGNORECASE)
        text = " ".join(text.split())
    return harmless(text)


def counted_for(response: requests.Response) -> str:
    """Return the project for which Google counts a refused request; empty if the answer does not name one.

    https://cloud.google.com/apis/design/errors#error_info
    """
    found = re.search(rb'"consumer":\s*"projects/([\w.:-]+)"|has not been used in project ([\w.:-]+)', response.content)
    return (found[1] or found[2]).decode() if found else ""


def harmless(text: str) -> str:
    """Return at most 2,000 characters of a server's text, without control characters and with secrets hidden."""
    return _SECRETS.sub("[hidden]", printable(text))[:_LONGEST_TEXT].strip()
