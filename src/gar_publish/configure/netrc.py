"""Edits a netrc file, and keeps every other entry, macro and comment.

https://www.gnu.org/software/inetutils/manual/html_node/The-_002enetrc-file.html
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gar_publish.configure.files import Malformed
from gar_publish.settings.index_url import Login

_WORD = re.compile(r'"(?:\\.|[^"\\])*"|\S+')
_FIELDS = {"login", "user", "password", "account"}


class _Entry(NamedTuple):
    """The login of a host, or the default one for the host "", and where it stands in the text."""

    host: str
    start: int
    end: int


def with_login(text: str, host: str, login: Login) -> str:
    """Return a netrc with one entry for the host, which has the login. It replaces those that the host has.

    Raises:
        Malformed: It is no netrc.
    """
    entry = f"machine {host} login {login.user} password {login.password}"
    old = [each for each in _entries(text) if each.host == host]
    if not old:
        return f"{entry}\n{text}"  # an entry after `default` is not read
    for each in reversed(old[1:]):
        text = text[: each.start] + text[each.end :].lstrip("\n")
    return text[: old[0].start] + entry + text[old[0].end :]


def has_login(text: str, host: str) -> bool:
    """Return whether a netrc has an entry for the host.

    Raises:
        Malformed: It is no netrc.
    """
    return any(each.host == host for each in _entries(text))


def _entries(text: str) -> Iterator[_Entry]:
    words = list(_WORD.finditer(text))
    at = 0
    while at < len(words):
        first = words[at]
        if first[0].startswith("#"):
            at = _after(words, text.find("\n", first.start()))
        elif first[0] == "macdef":
            at = _after(words, text.find("\n\n", first.start()))
        elif first[0] in {"machine", "default"}:
            host = words[at + 1 : at + 2] if first[0] == "machine" else []
            at += 1 + (first[0] == "machine")
            while at < len(words) and words[at][0] in _FIELDS:
                at += 2
            if at > len(words):
                raise Malformed(_line(text, first))
            yield _Entry("".join(each[0].strip('"') for each in host), first.start(), words[at - 1].end())
        else:
            raise Malformed(_line(text, first))


def _after(words: Sequence[re.Match[str]], position: int) -> int:
    """Return the index of the first word after a position; that after all words for -1."""
    return next((at for at, word in enumerate(words) if word.start() > position >= 0), len(words))


def _line(text: str, word: re.Match[str]) -> int:
    return text.count("\n", 0, word.start()) + 1
