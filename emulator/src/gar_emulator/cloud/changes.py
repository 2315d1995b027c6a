"""Changes of the world while the emulator runs: services, pools, providers, accounts, keys and policies.

They survive a restart, and take precedence over the world file.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gar_emulator.cloud.data_folder import reading
from gar_emulator.world.iam import Binding
from gar_emulator.world.toml_records import record
from gar_emulator.world.world import Account, Key, Pool, Project, Provider, World

Item = Project | Pool | Provider | Account | Key

KINDS: Mapping[str, type[Item]] = {
    "projects": Project,
    "pools": Pool,
    "providers": Provider,
    "accounts": Account,
    "keys": Key,
}
READER = "roles/artifactregistry.reader"


class Changes:
    """The changes of a world.

    Args:
        file: The changes as JSON, in the form of a world file's tables; may be missing.

    Raises:
        EmulatorError: The file is damaged.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._items: dict[str, Item] = {}
        self._policies: dict[str, list[Binding]] = {}
        if not file.exists():
            return
        with reading(file):
            raw = json.loads(file.read_text("utf-8"))
            for kind, entries in raw["items"].items():
                for entry in entries:
                    item = record(KINDS[kind], entry, kind)
                    self._items[item.resource] = item
            for resource, entries in raw["policies"].items():
                self._policies[resource] = [record(Binding, entry, resource) for entry in entries]

    def applied(self, world: World) -> World:
        """Return the world with all changes, and with a binding for each public repository."""
        public = [Binding("allUsers", READER, item.resource) for item in world.repositories if item.public]
        world = replace(world, bindings=(*world.bindings, *public))
        for item in self._items.values():
            world = _with_item(world, item)
        for resource, bindings in self._policies.items():
            world = _with_policy(world, resource, bindings)
        return world

    def put(self, world: World, item: Item) -> World:
        self._items[item.resource] = item
        self._write()
        return _with_item(world, item)

    def set_policy(self, world: World, resource: str, bindings: Sequence[Binding]) -> World:
        self._policies[resource] = list(bindings)
        self._write()
        return _with_policy(world, resource, bindings)

    def _write(self) -> None:
        items = {
            name: [_table(item) for item in self._items.values() if type(item) is kind] for name, kind in KINDS.items()
        }
        policies = {resource: [_table(each) for each in bindings] for resource, bindings in self._policies.items()}
        draft = self._file.with_name(f".{self._file.name}.{secrets.token_hex(4)}")
        draft.write_text(json.dumps({"items": items, "policies": policies}, indent=2), "utf-8")
        draft.replace(self._file)


def _with_item(world: World, item: Item) -> World:
    (name,) = (name for name, kind in KINDS.items() if type(item) is kind)
    others = [other for other in getattr(world, name) if other.resource != item.resource]
    return replace(world, **{name: (*others, item)})  # type: ignore[arg-type] # the field of its kind


def _with_policy(world: World, resource: str, bindings: Sequence[Binding]) -> World:
    others = [binding for binding in world.bindings if binding.resource != resource]
    return replace(world, bindings=(*others, *bindings))


def _table(item: Item | Binding) -> dict[str, Any]:
    values = {name.replace("_", "-"): value for name, value in vars(item).items()}
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in values.items()}
