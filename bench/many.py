"""Workspaces of many small hatchling packages."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bench import projects
from bench.containers import Containers
from bench.measure import Case, Command
from bench.tools import AGAIN, LOOP, OURSELVES, UV_ALL, Tools, Type

FIFTY = 50
MANY = 1000
COUNTS = (1, 10, 50, 100, 200, 2000)
FIFTY_IN_IMAGE = "50 packages: gar-publish in its image"
FIFTY_AS_ROOT = "50 packages: gar-publish as root in a container of the base"


def workspace(tools: Tools, count: int = FIFTY) -> list[Case]:
    """Return the cases for one workspace: gar-publish twice, and the peers, whose caches are full by then."""
    again = ("--if-exists", "skip", "packages/*")
    ours = {
        OURSELVES: lambda folder: tools.ours(folder, "packages/*"),
        AGAIN: lambda folder: tools.ours(folder, *again, UV_CACHE_DIR=str(tools.untouched)),
    }
    return [
        _case(tools, count, ours),
        _case(tools, count, {UV_ALL: lambda folder: tools.uv(folder, "--all-packages")}, warm=False),
        _case(tools, count, {LOOP: lambda folder: _loop(folder, tools.twine)}, rounds=1, warm=False),
    ]


def scale(tools: Tools, counts: Iterable[int] = COUNTS) -> list[Case]:
    """Return the cases for gar-publish with workspaces of several sizes."""
    return [
        _case(
            tools,
            count,
            {str(count): lambda folder: tools.ours(folder, "packages/*")},
            rounds=2 if count > MANY else None,
        )
        for count in counts
    ]


def in_containers(containers: Containers) -> list[Case]:
    """Return the cases for one workspace, as root, in the image and in its base."""
    typed: Mapping[str, Type] = {
        FIFTY_IN_IMAGE: lambda folder: containers.ours(folder, "packages/*"),
        FIFTY_AS_ROOT: lambda folder: containers.as_root(folder, "packages/*"),
    }
    return [_case(containers.tools, FIFTY, {name: commands}) for name, commands in typed.items()]


def _loop(folder: Path, typed: Type) -> list[Command]:
    return [each for part in sorted(folder.glob("packages/*")) for each in typed(part)]


def _case(
    tools: Tools,
    count: int,
    typed: Mapping[str, Type],
    *,
    rounds: int | None = None,
    warm: bool = True,
) -> Case:
    names = [projects.part(number) for number in range(count)]

    def prepare(folder: Path, number: int) -> Mapping[str, Sequence[Command]]:
        workspace = projects.write_workspace(folder / "workspace", count, f"1.{number}")
        return {name: commands(workspace) for name, commands in typed.items()}

    return Case(next(iter(typed)), prepare, lambda number: tools.check(names, number), rounds, warm)
