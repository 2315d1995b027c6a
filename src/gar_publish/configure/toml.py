"""Edits TOML files, and keeps every other line, comments included."""

import tomllib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import tomlkit
from tomlkit.exceptions import ParseError

from gar_publish.configure.files import Malformed

Values = Mapping[str, str | bool | None]
"""The new value of each key; None removes it."""


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
    return _rendered(document)


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
    for each in _entries(document, keys):
        if each.get("name") == entry["name"]:
            _set(each, entry)
            return _rendered(document)
    parent = _table(document, keys[:-1], bare=True)
    if keys[-1] not in parent:
        parent[keys[-1]] = tomlkit.aot()
    entries: Any = parent[keys[-1]]
    made: Any = tomlkit.table() if isinstance(entries, tomlkit.items.AoT) else tomlkit.inline_table()
    _set(made, {**entry, **new})
    entries.append(made)
    return _spaced(_rendered(document), f"[[{'.'.join(keys)}]]\n", made.as_string())


def _spaced(text: str, header: str, body: str) -> str:
    """Return the text with one empty line before and after the last table of this header."""
    before, found, after = text.rpartition(header)
    if not found or not after.startswith(body):
        return text
    parts = [before.rstrip("\n"), found + body.rstrip("\n"), after.removeprefix(body).lstrip("\n")]
    text = "\n\n".join(filter(None, parts))
    return text if text.endswith("\n") else f"{text}\n"


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


def _rendered(document: tomlkit.TOMLDocument) -> str:
    """Return the text, if it parses to the document again: tomlkit cannot add to a table of dotted keys."""
    text = document.as_string()
    try:
        read = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise Malformed(None) from None
    if read != document.unwrap():
        raise Malformed(None)
    return text
