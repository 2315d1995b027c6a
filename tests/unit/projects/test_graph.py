"""Ordering names by their requirements."""

import random
from itertools import pairwise

import pytest

from gar_publish.errors import BadInput
from gar_publish.projects import graph

DIAMOND = {"app": ["left", "right"], "left": ["base"], "right": ["base", "left"], "base": ["requests"], "alone": []}
CYCLE = {"a": ["b"], "b": ["c", "d"], "c": ["a"], "d": []}


def test_waves_keep_the_order_of_the_graph() -> None:
    assert graph.waves(DIAMOND) == [["base", "alone"], ["left"], ["right"], ["app"]]
    assert graph.waves({}) == []


def test_ignores_requirements_of_itself_and_of_other_names() -> None:
    assert graph.waves({"a": ["a", "numpy"]}) == [["a"]]
    assert graph.cycle({"a": ["a"]}) is None
    assert graph.needed({"a": ["a", "numpy"]}, ["a"]) == {"a"}


def test_each_name_of_a_cycle_requires_the_next() -> None:
    found = graph.cycle(CYCLE)
    assert found
    assert found[0] == found[-1]
    assert set(found) == {"a", "b", "c"}
    assert all(other in CYCLE[name] for name, other in pairwise(found))
    assert graph.cycle(DIAMOND) is None


def test_a_cycle_has_no_order() -> None:
    with pytest.raises(BadInput) as caught:
        graph.waves({"a": ["b"], "b": ["a"]})
    assert caught.value.what in {
        "a requires b, which requires a: there is no order to publish them in.",
        "b requires a, which requires b: there is no order to publish them in.",
    }
    assert caught.value.anchor == "cycle"


def test_needed() -> None:
    assert graph.needed(DIAMOND, ["left"]) == {"left", "base"}
    assert graph.needed(DIAMOND, ["app", "alone"]) == set(DIAMOND)
    assert graph.needed(DIAMOND, []) == set()
    assert graph.needed(CYCLE, ["b"]) == {"a", "b", "c", "d"}


def test_dependents() -> None:
    assert graph.dependents(DIAMOND, ["left"]) == {"left", "right", "app"}
    assert graph.dependents(DIAMOND, ["app", "alone"]) == {"app", "alone"}
    assert graph.dependents(DIAMOND, []) == set()
    assert graph.dependents(CYCLE, ["d"]) == {"a", "b", "c", "d"}


def test_optional_requirements_count_unless_they_close_a_cycle() -> None:
    required = {"core": [], "plugin": ["core", "requests"], "extra": []}
    assert graph.requirements(required, {"core": ["extra", "core"]}) == {
        "core": {"extra"},
        "plugin": {"core"},
        "extra": set(),
    }
    assert graph.requirements(required, {"core": ["plugin", "extra"]}) == {
        "core": {"extra"},
        "plugin": {"core"},
        "extra": set(),
    }


def test_a_cycle_of_requirements_stays() -> None:
    found = graph.requirements({"a": ["b"], "b": ["a"], "c": []}, {"c": ["a"], "a": ["c"]})
    assert found["a"] >= {"b"}
    assert found["b"] == {"a"}
    assert graph.cycle(found)


def test_a_thousand_names() -> None:
    names = [f"n{number}" for number in range(1000)]
    draw = random.Random(1)
    large = {name: draw.sample(names[:place], min(place, 20)) for place, name in enumerate(names)}
    place = {name: number for number, wave in enumerate(graph.waves(large)) for name in wave}
    assert all(place[required] < place[name] for name in names for required in large[name])
    chain = {name: names[place + 1 : place + 2] for place, name in enumerate(names)}
    assert len(graph.needed(chain, ["n0"])) == 1000
    assert len(graph.dependents(chain, ["n999"])) == 1000
