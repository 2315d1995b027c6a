"""Edits TOML files, and keeps every other line, comments included."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from itertools import takewhile
from operator import eq
from types import MappingProxyType
from typing import Any

import tomlkit
from tomlkit.exceptions import ParseError

from gar_publish.configure.files import Malformed

Values = Mapping[str, str | bool | None]
"""The new value of each key; None removes it."""

_COMMENT = re.compile(r"(?:\A|\n\n)((?:#[^\n]*(?:\n|\Z))+)\Z")
"""A comment at the start or after an empty line, which ends a text."""


def with_values(text: str, keys: Sequence[str], values: Values) -> str:
    """Set values in the table at `keys`, which is created if it is missing.

    Raises:
        Malformed: This is not TOML, something else is at `keys`, or it cannot be edited.
    """
    document = _parsed(text)
    table = _found(document, keys)
    if any(value is not None for value in values.values()):
        table = _table(document, keys)
    _set(table, values)
    return _rendered(document, text)


def with_entry(text: str, keys: Sequence[str], entry: Values, new: Values = MappingProxyType({})) -> str:
    """Set values in the entry of the same name in the array of tables at `keys`; a new entry comes last.

    Args:
        text: The current text.
        keys: The path of the array.
        entry: The values to set, `name` included.
        new: More values for an entry that is new.

    Raises:
        Malformed: This is not TOML, or it cannot be edited.
    """
    document = _parsed(text)
    found: Any = next((each for each in _entries(document, keys) if each.get("name") == entry["name"]), None)
    if found is None:
        parent = _table(document, keys[:-1], bare=True)
        if keys[-1] not in parent:
            parent[keys[-1]] = tomlkit.aot()
        array: Any = parent[keys[-1]]
        found = tomlkit.table() if isinstance(array, tomlkit.items.AoT) else tomlkit.inline_table()
        _set(found, {**entry, **new})
        array.append(found)
    else:
        _set(found, entry)
    if found.unwrap() not in entries(rendered := _rendered(document, text), keys):
        raise Malformed(None)  # tomlkit loses it if other tables are between the entries
    return rendered


def entries(text: str, keys: Sequence[str]) -> list[dict[str, Any]]:
    """Return the entries of the array of tables at `keys`.

    Raises:
        Malformed: This is not TOML, or it cannot be edited.
    """
    return [dict(each) for each in _entries(_parsed(text).unwrap(), keys)]


def table(text: str, keys: Sequence[str]) -> dict[str, Any]:
    """Return the table at `keys`; an empty one if there is none.

    Raises:
        Malformed: This is not TOML, or something else is there.
    """
    return dict(_found(_parsed(text).unwrap(), keys))


def _parsed(text: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except ParseError as error:
        raise Malformed(error.line) from None


def _found(document: Any, keys: Sequence[str]) -> Any:
    """Return the table at `keys`, or an empty one."""
    found = document
    for key in keys:
        found = found.get(key, {})
        if not isinstance(found, dict):
            raise Malformed(None)
    return found


def _entries(document: Any, keys: Sequence[str]) -> list[Any]:
    entries = _found(document, keys[:-1]).get(keys[-1], [])
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise Malformed(None)
    return entries


def _table(document: tomlkit.TOMLDocument, keys: Sequence[str], *, bare: bool = False) -> Any:
    """Return the table at `keys`; a new one gets no header of its own if it is `bare`."""
    table: Any = document
    for number, key in enumerate(keys):
        if key not in table:
            if isinstance(table, tomlkit.items.InlineTable):
                raise Malformed(None)  # tomlkit adds no table to it
            table[key] = tomlkit.table(is_super_table=bare or number + 1 < len(keys))
        table = table[key]
    return table


def _set(table: Any, values: Values) -> None:
    for key, value in values.items():
        if value is None:
            table.pop(key, None)
        elif table.get(key) != value:
            table[key] = value


def _rendered(document: tomlkit.TOMLDocument, old: str) -> str:
    """Return the text, if it parses to the document again: tomlkit cannot add to a table of dotted keys."""
    new, unchanged = document.as_string(), _parsed(old).as_string()  # tomlkit collects the entries of an array
    text = old if new == unchanged else _placed(new, unchanged)
    try:
        read = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise Malformed(None) from None
    if read != document.unwrap():
        raise Malformed(None)
    return text


def _placed(new: str, old: str) -> str:
    """Return the new text with what it adds above the comment of the next table, and empty lines around tables.

    For tomlkit, the comment above the header of a table belongs to the table before it.
    """
    lines, old_lines = new.split("\n"), old.split("\n")
    start = len(list(takewhile(bool, map(eq, lines, old_lines))))
    end = len(lines) - len(old_lines) + start
    if end < start or lines[end:] != old_lines[start:]:
        return new  # a line was changed
    before, added, after = ("\n".join(each) for each in (lines[:start], lines[start:end], lines[end:]))
    is_table = added.lstrip("\n").startswith("[")
    if comment := after.startswith("[") and _COMMENT.search(before):
        before, after = before[: comment.start()], f"{comment[1]}\n{after}"
    elif not is_table and not after.startswith("["):
        return new
    head = "\n\n" if is_table else "\n"
    text = head.join(filter(None, (before.rstrip("\n"), added.strip("\n"))))
    text = "\n\n".join(filter(None, (text, after.lstrip("\n"))))
    return text if text.endswith("\n") else f"{text}\n"
