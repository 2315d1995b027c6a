"""One small package of each backend, with each tool that can publish it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import projects
from bench.containers import Containers
from bench.measure import Case, Command
from bench.tools import FLIT, HATCH, OURSELVES, PDM, POETRY, TWINE, TWINE_UV, UV, Tools, Type

QUICK = (OURSELVES, UV, HATCH, FLIT)
"""The tools that could be the fastest. The others take part in few rounds, and only far away."""
FEW_ROUNDS = 3


def far(tools: Tools) -> list[Case]:
    """Return the cases with all tools."""
    return [
        _case(tools, backend, name, typed, None if name in QUICK else FEW_ROUNDS)
        for backend in projects.BACKENDS
        for name, typed in _typed(tools, backend).items()
    ]


def near(tools: Tools) -> list[Case]:
    """Return the cases with the quick tools."""
    return [each for each in far(tools) if each.name.partition(": ")[2] in QUICK]


def in_containers(containers: Containers) -> list[Case]:
    """Return the cases in the image, and with the quick tools in containers of its base."""
    quick: Mapping[str, Type] = {OURSELVES: containers.ours, UV: containers.uv, HATCH: containers.hatch}
    return [
        _case(containers.tools, backend, name, typed)
        for backend in projects.BACKENDS
        for name, typed in {**quick, **({FLIT: containers.flit} if backend == "flit-core" else {})}.items()
    ]


def _typed(tools: Tools, backend: str) -> Mapping[str, Type]:
    """Return the tools that can publish a package of this backend. Poetry's way to others is not measured."""
    own: Mapping[str, Mapping[str, Type]] = {"flit-core": {FLIT: tools.flit}, "poetry-core": {POETRY: tools.poetry}}
    return {
        OURSELVES: tools.ours,
        TWINE: tools.twine,
        TWINE_UV: tools.twine_uv,
        UV: tools.uv,
        HATCH: tools.hatch,
        PDM: tools.pdm,
        **own.get(backend, {}),
    }


def _case(tools: Tools, backend: str, tool: str, typed: Type, rounds: int | None = None) -> Case:
    name = f"{backend}: {tool}"
    package = f"small-{backend.replace('_', '-')}"

    def prepare(folder: Path, number: int) -> Mapping[str, Sequence[Command]]:
        return {name: typed(projects.write(folder / "workspace" / package, package, f"1.{number}", backend))}

    return Case(name, prepare, lambda number: tools.check([package], number), rounds)
