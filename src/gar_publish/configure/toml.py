"""Edits of TOML files that keep every other line, comments included."""

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

import tomlkit
from tomlkit.exceptions import ParseError

from gar_publish.configure.files import Malformed
from gar_publish.login import url_without_login

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
        found: Any = document
        for key in keys:
            found = found.get(key, {})
        _set(found, values)
    return _rendered(document)


def with_entry(text: str, keys: Sequence[str], entry: Values) -> str:
    """Set keys of the entry with the same name in the array of tables at `keys`; a new one comes last.

    Raises:
        Malformed: This is no TOML, or none that can be added to.
    """
    document = _parsed(text)
    parent = _table(document, keys[:-1], bare=True)
    if keys[-1] not in parent:
        parent[keys[-1]] = tomlkit.aot()
    entries: Any = parent[keys[-1]]
    for each in entries:
        if each.get("name") == entry["name"]:
            _set(each, entry)
            return _rendered(document)
    new: Any = tomlkit.table() if isinstance(entries, tomlkit.items.AoT) else tomlkit.inline_table()
    _set(new, entry)
    if isinstance(new, tomlkit.items.Table) and text.strip():
        new.trivia.indent = "\n"
    entries.append(new)
    return _rendered(document)


def name_of(text: str, keys: Sequence[str], url: str) -> str | None:
    """The name of the entry that has this URL already, with or without a user name.

    Raises:
        Malformed: This is no TOML, or none that can be added to.
    """
    found: Any = _parsed(text).unwrap()
    for key in keys:
        found = found.get(key, {})
    for each in found:
        if url_without_login(each.get("url", "")).rstrip("/") == url.rstrip("/") and "name" in each:
            return str(each["name"])
    return None


def _parsed(text: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except ParseError as error:
        raise Malformed(error.line) from None


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
    if tomllib.loads(text) != document.unwrap():
        raise Malformed(None)
    return text
