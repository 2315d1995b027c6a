"""What comes before what, where names require names.

A graph gives each name those that it requires. What it names itself, or nothing of the graph, is passed over.
"""

import graphlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise

from gar_publish.errors import BadInput

Graph = Mapping[str, Collection[str]]


def waves(graph: Graph) -> list[list[str]]:
    """Group names so that each comes in a later wave than all that it requires; in the graph's own order within.

    Raises:
        BadInput: Names require each other in a cycle.
    """
    sorter = _sorter(graph)
    place = {name: number for number, name in enumerate(graph)}
    found = []
    while sorter.is_active():
        ready = sorter.get_ready()
        sorter.done(*ready)
        found.append(sorted(ready, key=place.__getitem__))
    return found


def cycle(graph: Graph) -> list[str] | None:
    """Names that require each other: each requires the next, and the last is the first. None where there are none."""
    try:
        graphlib.TopologicalSorter(_within(graph)).prepare()
    except graphlib.CycleError as error:
        return list(reversed(error.args[1]))
    return None


def closure(graph: Graph) -> dict[str, frozenset[str]]:
    """Each name with itself and all that it requires, directly or not.

    Raises:
        BadInput: Names require each other in a cycle.
    """
    inner = _within(graph)
    reached: dict[str, frozenset[str]] = {}
    for wave in waves(graph):
        for name in wave:
            reached[name] = frozenset({name}).union(*(reached[required] for required in inner[name]))
    return {name: reached[name] for name in graph}


def dependents(graph: Graph, names: Iterable[str]) -> set[str]:
    """Names, and all that require any of them, directly or not."""
    required_by = defaultdict(set)
    for name, required in _within(graph).items():
        for each in required:
            required_by[each].add(name)
    reached, ahead = set[str](), set(names)
    while ahead:
        reached |= ahead
        ahead = {dependent for each in ahead for dependent in required_by[each]} - reached
    return reached


def requirements(required: Graph, optional: Graph) -> dict[str, set[str]]:
    """One graph of both: what is optional comes first as well, unless that would close a cycle.

    Args:
        required: What each name cannot be without.
        optional: What each may have, such as the requirements of its extras.
    """
    graph = {name: ({*required[name], *optional.get(name, ())} & required.keys()) - {name} for name in required}
    while found := cycle(graph):
        closing = [(name, other) for name, other in pairwise(found) if other not in required[name]]
        if not closing:
            break
        for name, other in closing:
            graph[name].remove(other)
    return graph


def refuse_cycles(graph: Graph) -> None:
    """Check that there is an order.

    Raises:
        BadInput: Names require each other in a cycle.
    """
    if found := cycle(graph):
        raise BadInput(
            f"{found[0]} requires {', which requires '.join(found[1:])}: there is no order to publish them in.",
            cause="each has to be in the index before what requires it, or somebody installs what cannot be installed",
            fix="let one of them do without another, make it a requirement of an extra, or make them one package",
            anchor="cycle",
        )


def _sorter(graph: Graph) -> "graphlib.TopologicalSorter[str]":
    refuse_cycles(graph)
    sorter = graphlib.TopologicalSorter(_within(graph))
    sorter.prepare()
    return sorter


def _within(graph: Graph) -> dict[str, list[str]]:
    return {
        name: sorted(each for each in set(required) if each in graph and each != name)
        for name, required in graph.items()
    }
