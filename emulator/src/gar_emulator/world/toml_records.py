"""TOML tables as dataclasses: dashes replace underscores; unknown, missing and mistyped entries are refused."""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from types import MappingProxyType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from gar_emulator.errors import EmulatorError

DEFAULT_WORLD = "https://github.com/org/gar-publish/blob/main/docs/fidelity.md#the-default-world"

R = TypeVar("R")


class InvalidTable(ValueError):
    """A table does not match its dataclass; the message says which table, and why."""


def record(kind: type[R], raw: Any, where: str) -> R:
    """Return one dataclass from one TOML table.

    Args:
        kind: The dataclass.
        raw: The table.
        where: How messages name the table.

    Raises:
        InvalidTable: The table does not match.
    """
    if not isinstance(raw, dict):
        raise InvalidTable(f"{where} is not a table")
    hints = get_type_hints(kind)
    known = {item.name.replace("_", "-"): item for item in fields(kind)}  # type: ignore[arg-type] # dataclasses only
    for name in raw:
        if name not in known:
            raise InvalidTable(f"{where} has an unknown entry, {name}; the known entries are {', '.join(known)}")
    for name, item in known.items():
        if name not in raw and item.default is MISSING and item.default_factory is MISSING:
            raise InvalidTable(f"{where} has no {name}")
    values = {known[name].name: _value(raw[name], hints[known[name].name], f"{where}: {name}") for name in raw}
    try:
        return kind(**values)
    except ValueError as error:
        raise InvalidTable(f"{where}: {error}") from None


def _value(raw: Any, kind: Any, where: str) -> Any:
    origin = get_origin(kind)
    if origin is tuple and isinstance(raw, list):
        return tuple(_value(item, get_args(kind)[0], where) for item in raw)
    if origin is Mapping and isinstance(raw, dict):
        return MappingProxyType({name: _value(item, str, where) for name, item in raw.items()})
    if kind is float and type(raw) is int:
        try:
            return float(raw)
        except OverflowError:
            raise InvalidTable(f"{where} is too large") from None
    if origin is None and type(raw) is kind:
        return raw
    raise InvalidTable(f"{where} has a value of the wrong type: {raw!r}")


def invalid_world(source: str, what: str) -> EmulatorError:
    return EmulatorError(
        f"The emulator cannot use the world file: {source} {what}.",
        fix=f"start from the default world ({DEFAULT_WORLD}), and change one thing at a time",
        anchor="world-file",
    )
