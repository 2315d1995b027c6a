"""What comes before what."""

import random
from itertools import pairwise

import pytest

from gar_publish.errors import BadInput
from gar_publish.projects import graph as order

DIAMOND = {"app": ["left", "right"], "left": ["base"], "right": ["base", "left"], "base": ["requests"], "alone": []}
CIRCLE = {"a": ["b"], "b": ["c", "d"], "c": ["a"], "d": []}


def test_waves_come_after_what_they_require_in_the_graphs_own_order() -> None:
    assert order.waves(DIAMOND) == [["base", "alone"], ["left"], ["right"], ["app"]]
    assert order.waves({}) == []


def test_what_requires_itself_or_something_else_waits_for_nothing() -> None:
    assert order.waves({"a": ["a", "numpy"]}) == [["a"]]
    assert order.cycle({"a": ["a"]}) is None
    assert order.closure({"a": ["a", "numpy"]}) == {"a": {"a"}}


def test_a_circle_reads_in_the_direction_of_requiring() -> None:
    found = order.cycle(CIRCLE)
    assert found
    assert found[0] == found[-1]
    assert set(found) == {"a", "b", "c"}
    assert all(other in CIRCLE[name] for name, other in pairwise(found))
    assert order.cycle(DIAMOND) is None


def test_a_circle_has_no_order() -> None:
    with pytest.raises(BadInput) as caught:
        order.waves({"a": ["b"], "b": ["a"]})
    assert caught.value.what in {
        "a requires b, which requires a: there is no order to publish them in.",
        "b requires a, which requires b: there is no order to publish them in.",
    }
    assert caught.value.anchor == "cycle"
    with pytest.raises(BadInput):
        order.closure(CIRCLE)


def test_the_closure_is_all_that_is_required() -> None:
    assert order.closure(DIAMOND) == {
        "app": {"app", "left", "right", "base"},
        "left": {"left", "base"},
        "right": {"right", "left", "base"},
        "base": {"base"},
        "alone": {"alone"},
    }


def test_dependents_are_all_that_require() -> None:
    assert order.dependents(DIAMOND, ["left"]) == {"left", "right", "app"}
    assert order.dependents(DIAMOND, ["app", "alone"]) == {"app", "alone"}
    assert order.dependents(DIAMOND, []) == set()
    assert order.dependents(CIRCLE, ["d"]) == {"a", "b", "c", "d"}


def test_what_is_optional_comes_first_unless_it_closes_a_circle() -> None:
    required = {"core": [], "plugin": ["core", "requests"], "extra": []}
    assert order.requirements(required, {"core": ["extra", "core"]}) == {
        "core": {"extra"},
        "plugin": {"core"},
        "extra": set(),
    }
    assert order.requirements(required, {"core": ["plugin", "extra"]}) == {
        "core": {"extra"},
        "plugin": {"core"},
        "extra": set(),
    }


def test_a_circle_of_what_is_required_stays() -> None:
    graph = order.requirements({"a": ["b"], "b": ["a"], "c": []}, {"c": ["a"], "a": ["c"]})
    assert graph["a"] >= {"b"}
    assert graph["b"] == {"a"}
    assert order.cycle(graph)


def test_a_thousand_names_are_no_burden() -> None:
    names = [f"n{number}" for number in range(1000)]
    draw = random.Random(1)
    graph = {name: draw.sample(names[:place], min(place, 20)) for place, name in enumerate(names)}
    closure = order.closure(graph)
    for wave in order.waves(graph):
        for name in wave:
            assert closure[name] >= closure[name].union(*(closure[required] for required in graph[name]))
    chain = {name: names[place + 1 : place + 2] for place, name in enumerate(names)}
    assert len(order.closure(chain)["n0"]) == 1000
    assert len(order.dependents(chain, ["n999"])) == 1000
