"""Order names by their requirements.

A graph maps each name to the names it requires. A requirement of the name itself, or of a name outside the graph, is
ignored.
"""

import graphlib
from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise

from gar_publish.errors import BadInput

Graph = Mapping[str, Collection[str]]


def waves(graph: Graph) -> list[list[str]]:
    """Group names into waves, in the graph's order: each comes in a later wave than all that it requires.

    Raises:
        BadInput: Names require each other in a cycle.
    """
    refuse_cycles(graph)
    sorter = graphlib.TopologicalSorter(_within(graph))
    sorter.prepare()
    place = {name: number for number, name in enumerate(graph)}
    found = []
    while sorter.is_active():
        ready = sorter.get_ready()
        sorter.done(*ready)
        found.append(sorted(ready, key=place.__getitem__))
    return found


def cycle(graph: Graph) -> list[str] | None:
    """Return a cycle: each name requires the next, and the last is the first. None if there is no cycle."""
    try:
        graphlib.TopologicalSorter(_within(graph)).prepare()
    except graphlib.CycleError as error:
        return list(reversed(error.args[1]))
    return None


def dependents(graph: Graph, names: Iterable[str]) -> set[str]:
    """Return the names and all that require any of them, directly or not."""
    required_by: dict[str, list[str]] = {name: [] for name in graph}
    for name, required in _within(graph).items():
        for each in required:
            required_by[each].append(name)
    return needed(required_by, names)


def needed(graph: Graph, names: Iterable[str]) -> set[str]:
    """Return the names and all that any of them requires, directly or not. The graph may have cycles."""
    inner = _within(graph)
    reached, ahead = set[str](), set(names)
    while ahead:
        reached |= ahead
        ahead = {required for each in ahead for required in inner.get(each, ())} - reached
    return reached


def requirements(required: Graph, optional: Graph) -> dict[str, set[str]]:
    """Return one graph of both, without the optional requirements that would close a cycle.

    Args:
        required: The requirements of each name.
        optional: Its optional requirements, such as those of its extras.
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
    """Check that the graph has no cycle.

    Raises:
        BadInput: Names require each other in a cycle.
    """
    if found := cycle(graph):
        raise BadInput(
            f"{found[0]} requires {', which requires '.join(found[1:])}: there is no order to publish them in.",
            cause="a package must be in the index before the packages that require it can be installed",
            fix="remove one of these requirements or move one to an extra, or merge the packages",
            anchor="cycle",
        )


def _within(graph: Graph) -> dict[str, list[str]]:
    return {
        name: sorted(each for each in set(required) if each in graph and each != name)
        for name, required in graph.items()
    }
