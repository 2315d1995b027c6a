"""TOML tables as dataclasses: dashes for underscores, nothing unknown, nothing missing, nothing of another type."""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from types import MappingProxyType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from gar_emulator.errors import EmulatorError

R = TypeVar("R")


class Misfit(ValueError):
    """A table does not fit; says which, and why."""


def record(kind: type[R], raw: Any, where: str) -> R:
    """One dataclass from one TOML table.

    Raises:
        Misfit: The table does not fit; `where` says which it is.
    """
    if not isinstance(raw, dict):
        raise Misfit(f"{where} is not a table")
    hints = get_type_hints(kind)
    known = {item.name.replace("_", "-"): item for item in fields(kind)}  # type: ignore[arg-type] # dataclasses only
    for name in raw:
        if name not in known:
            raise Misfit(f"{where} has an unknown entry, {name}; known are {', '.join(known)}")
    for name, item in known.items():
        if name not in raw and item.default is MISSING and item.default_factory is MISSING:
            raise Misfit(f"{where} lacks {name}")
    values = {known[name].name: _value(raw[name], hints[known[name].name], f"{where}: {name}") for name in raw}
    try:
        return kind(**values)
    except ValueError as error:
        raise Misfit(f"{where}: {error}") from None


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
            raise Misfit(f"{where} is too large") from None
    if origin is None and type(raw) is kind:
        return raw
    raise Misfit(f"{where} has a value of the wrong type: {raw!r}")


def bad(source: str, what: str) -> EmulatorError:
    return EmulatorError(
        f"The world file cannot be used: {source} {what}.",
        fix="start from the default world, which docs/fidelity.md shows, and change one thing at a time",
        anchor="world-file",
    )
