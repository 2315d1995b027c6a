"""`python -m conformance`: every switch is found, records are adopted, and no target makes it hang or leak."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from conformance.checks import CHECKS
from conformance.lab import Lab, built
from conformance.records import Record, comparison, default, differences, measure
from conformance.targets import lab_of, owned_world
from gar_emulator import Emulator
from gar_emulator.world.switches import Switches

FLIPPED: dict[str, list[Any]] = {
    "attribute-condition-status": [400],
    "attributes-limit": [512, 0],
    "bearer-tokens": [False],
    "check-digests": [False],
    "duplicate-identical": [True],
    "duplicate-status": [409],
    "early-refusals": ["reset", "never"],
    "federated-lifetime": [3600],
    "federated-tokens": [False],
    "immutable-subject": [True],
    "index-delay": [1.0],
    "json-index": [True],
    "max-upload-size": [256 * 1024],
    "missing-repository": ["403", "404"],
    "operation-seconds": [1.0],
    "quota-project": [False],
    "read-only-scope": [False],
    "redirect-length": [0, 3000],
    "repository-delay": [1.0],
    "requires-python": [False],
    "root-index": [True],
    "texts": ["empty", "detailed"],
    "upload-status": [201],
    "wrong-repository-status": [404],
}
"""Every switch, and values that are not its default."""


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator(owned_world(), data=tmp_path_factory.mktemp("conformance")) as running:
        yield running


@pytest.fixture(scope="module")
def lab(emulator: Emulator) -> Iterator[Lab]:
    with built(lab_of(emulator)) as made:
        yield made


@pytest.fixture(scope="module")
def flipped(emulator: Emulator, lab: Lab) -> dict[tuple[str, Any], list[Record]]:
    """Return the records of an emulator with one value of one switch changed, for each of them."""
    found = {}
    for switch, values in FLIPPED.items():
        name = switch.replace("-", "_")
        for value in values:
            emulator.cloud.switch(**{name: value})
            found[switch, value] = list(measure(lab, "project"))
        emulator.cloud.switch(**{name: default(switch)})
    return found


def test_each_switch_has_one_check() -> None:
    switches = [item.name.replace("_", "-") for item in fields(Switches)]
    assert sorted(check.switch for check in CHECKS) == sorted(switches) == sorted(FLIPPED)
    assert len({check.id for check in CHECKS}) == len(CHECKS)


def test_emulator_agrees_with_its_own_defaults(lab: Lab) -> None:
    assert comparison(list(measure(lab, "emulator"))) == "24 of 24 checks agree with the emulator's defaults."


def test_each_flipped_switch_is_found_and_nothing_else(flipped: dict[tuple[str, Any], list[Record]]) -> None:
    for (switch, value), records in flipped.items():
        assert [(each.switch, each.value) for each in differences(records)] == [(switch, value)]
