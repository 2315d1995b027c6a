"""Edits of TOML files that keep every other line, comments included."""

import tomllib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import tomlkit
from tomlkit.exceptions import ParseError

from gar_publish.configure.files import Malformed

Values = Mapping[str, str | bool | None]
"""What each key is to be; None removes it."""


def with_values(text: str, keys: Sequence[str], values: Values) -> str:
    """Set keys of the table at `keys`, which is made if need be.

    Raises:
        Malformed: This is no TOML, or none that can be added to.
    """
    document = _parsed(text)
    if any(value is not None for value in values.values()):
        _set(_table(document, keys), values)
    else:
        _set(_found(document, keys), values)
    return _rendered(document)


def with_entry(text: str, keys: Sequence[str], entry: Values, new: Values = MappingProxyType({})) -> str:
    """Set keys of the entry with the same name in the array of tables at `keys`; a new one comes last.

    Args:
        text: The file as it is.
        keys: Where the array is.
        entry: What every entry of that name has to say.
        new: What it says besides if it was not there before.

    Raises:
        Malformed: This is no TOML, or none that can be added to.
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
    if isinstance(made, tomlkit.items.Table) and text.strip():
        made.trivia.indent = "\n"
    entries.append(made)
    return _rendered(document)


def entries(text: str, keys: Sequence[str]) -> list[dict[str, Any]]:
    """The entries of the array of tables at `keys`.

    Raises:
        Malformed: This is no TOML, or none that can be added to.
    """
    return [dict(each) for each in _entries(_parsed(text).unwrap(), keys)]


def _parsed(text: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except ParseError as error:
        raise Malformed(error.line) from None


def _found(document: Any, keys: Sequence[str]) -> Any:
    """The table at `keys`, or an empty one."""
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
    """The table at `keys`; one that is new has no header of its own where it is `bare`."""
    table: Any = document
    for number, key in enumerate(keys):
        if key not in table:
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
    """The text, once it is sure to say what the document does: a table of dotted keys takes no entries."""
    text = document.as_string()
    try:
        said = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise Malformed(None) from None
    if said != document.unwrap():
        raise Malformed(None)
    return text
