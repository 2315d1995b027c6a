"""Reads and writes settings files: atomically, through links, and privately if they contain a secret."""

import difflib
import os
import re
import stat
import tempfile
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from gar_publish.errors import BadInput
from gar_publish.settings.index_url import USERS

T = TypeVar("T")

_LOGIN_IN_URL = re.compile(r"(?<=://)[^\s\"']*@")
_SECRET_VALUE = re.compile(r"(?i)((?:password|passwd|token|secret)[\w.-]*[\"']?\s*[=:]\s*|\bpassword\s+)(.*)$")
_THREE_QUOTES = re.compile(r"\"{3}|'{3}")
_CHANGED = "\0"
"""Separates a line without its secret from a hash of the line, so that a changed secret is a difference."""


class Malformed(Exception):
    """A file that cannot be parsed, or not be changed without changing its other settings."""

    def __init__(self, line: int | None) -> None:
        super().__init__(f" (line {line})" if line else "")


@dataclass(frozen=True)
class Edit:
    """A change of one file.

    Attributes:
        path: The file; it need not exist.
        change: Returns the new text for the old one; raises `Malformed`.
        secret: Whether the new text contains a secret.
    """

    path: Path
    change: Callable[[str], str]
    secret: bool = False


def read(path: Path) -> str:
    """Return a file's text with its line ends; an empty one if there is no file.

    Raises:
        BadInput: It is not a readable file.
    """
    try:
        if path.exists() and not path.is_file():
            raise BadInput(
                f"{path} is not a file, so it cannot have settings.",
                fix="unset the variable that names it",
                anchor="settings-file",
            )
        text = path.read_bytes().decode()
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        text = None
    except (OSError, ValueError) as error:
        raise _unusable(path, "read", getattr(error, "strerror", "") or str(error)) from None
    if text is None or text.startswith("\ufeff"):
        raise BadInput(
            f"{path} cannot be read: it is not UTF-8, or begins with a byte order mark.",
            fix="save the file as UTF-8 without a byte order mark, or move it away, then run the same command again",
            anchor="settings-file",
        )
    return text


def loaded(path: Path) -> dict[str, Any]:
    """Return what a TOML file has; nothing if there is no file.

    Raises:
        BadInput: It cannot be read or parsed.
    """
    return parsed(path, _loaded)


def _loaded(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        raise Malformed(None) from None


def changed(edit: Edit, text: str) -> str:
    """Return the new text, with the line ends of the old one.

    Raises:
        BadInput: It is malformed.
    """
    new = _parsed(edit.path, edit.change, text.replace("\r\n", "\n"))
    return new.replace("\n", "\r\n") if "\r\n" in text else new


def parsed(path: Path, parse: Callable[[str], T]) -> T:
    """Return the result of `parse` for a file's text, which is empty if there is no file.

    Raises:
        BadInput: It cannot be read, or is malformed.
    """
    return _parsed(path, parse, read(path))


def _parsed(path: Path, parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except Malformed as error:
        raise BadInput(
            f"{path} cannot be parsed{error}; nothing was changed.",
            cause="its syntax is wrong, or too unusual to be edited safely",
            fix="correct the file or move it away, then run the same command again",
            anchor="settings-file",
        ) from None


def difference(path: Path, old: str, new: str) -> str:
    """Return a unified diff without context and without secrets."""
    lines = difflib.unified_diff(_without_secrets(old), _without_secrets(new), str(path), str(path), n=0, lineterm="")
    return "\n".join(line.partition(_CHANGED)[0] for line in lines)


def write(path: Path, text: str, *, secret: bool) -> None:
    """Replace a file's text atomically. A new file, or one with a secret, is readable only by its owner.

    Raises:
        BadInput: It cannot be written.
    """
    target = Path(os.path.realpath(path))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = 0o600 if secret or not target.exists() else stat.S_IMODE(target.stat().st_mode)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")  # made with mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(text.encode())
            Path(name).chmod(mode)
            Path(name).replace(target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _unusable(path, "written", error.strerror or "") from None


def make_private(path: Path) -> bool:
    """Remove all other users' permissions for a file, and return whether there were any."""
    if os.name != "posix" or not path.stat().st_mode & 0o077:
        return False
    path.chmod(0o600)
    return True


def _without_secrets(text: str) -> list[str]:
    """Return the lines of a file without secrets; after `_CHANGED`, such a line has its hash."""
    lines = []
    inside, quotes = False, ""  # in a multi-line value: indented in INI, between three quotes in TOML
    for line in text.splitlines():
        shown = _LOGIN_IN_URL.sub(_user_alone, line)
        if quotes:
            shown, quotes = "***", "" if quotes in line else quotes
        elif inside and (not line or line[0].isspace()):
            shown = "***"
        elif found := _SECRET_VALUE.search(shown):
            shown = f"{shown[: found.start()]}{found[1]}***"
            opened = _THREE_QUOTES.findall(found[2])
            inside, quotes = True, opened[0] if len(opened) == 1 else ""
        else:
            inside = False
        lines.append(shown if shown == line else f"{shown}{_CHANGED}{sha256(line.encode()).hexdigest()}")
    return lines


def _user_alone(login: re.Match[str]) -> str:
    """Return a login without its password, and without the user name if that may be a token."""
    user, _, password = login[0].removesuffix("@").partition(":")
    if user not in USERS:
        return "***@"
    return f"{user}:***@" if password else f"{user}@"


def _unusable(path: Path, verb: str, why: str) -> BadInput:
    return BadInput(
        f"{path} cannot be {verb}: {why}.",
        fix="check the permissions of the file and of its folder",
        anchor="settings-file",
    )
