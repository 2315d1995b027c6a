"""A package with something large in it or beside it. Everything is made here, the same in each run."""

import random
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench import projects
from bench.containers import Containers
from bench.measure import Case, Command
from bench.tools import OURSELVES, UV, Tools
from tests.runner import give_to_owner

ALONE = "the package alone"
FILES = "100,000 files in the checkout"
PACKAGE = "ten-files"
_MB = 1_000_000
_AUTHOR = "Octocat <octocat@example.org> 1700000000 +0000"

Typed = Callable[[Path, Path], list[Command]]
"""Returns the commands for an empty folder and a checkout."""


def as_commands(tools: Tools, folder: Path) -> list[Case]:
    """Return the cases of plain commands. The folder is for the checkouts, which all runs use."""
    typed: Mapping[str, Typed] = {
        OURSELVES: lambda _, checkout: tools.ours(checkout, PACKAGE),
        UV: lambda _, checkout: tools.uv(checkout, PACKAGE, "--out-dir", "dist"),
    }
    return _cases(tools, folder, typed, lambda _: None)


def in_containers(containers: Containers, folder: Path) -> list[Case]:
    """Return the cases in the image and in its base. The folder is for the checkouts, which all runs use."""
    typed: Mapping[str, Typed] = {
        OURSELVES: lambda run, checkout: containers.ours_beside(run, checkout, PACKAGE),
        UV: lambda _, checkout: containers.uv(checkout, PACKAGE, "--out-dir", "dist"),
    }
    return _cases(containers.tools, folder, typed, give_to_owner)


def _cases(tools: Tools, folder: Path, typed: Mapping[str, Typed], own: Callable[[Path], None]) -> list[Case]:
    def case(size: str, name: str, commands: Typed) -> Case:
        def prepare(run: Path, number: int) -> Mapping[str, Sequence[Command]]:
            checkout = folder / re.sub(r"\W+", "-", size)
            if not checkout.exists():
                projects.write(checkout / PACKAGE, PACKAGE, "0", modules=7)
                SIZES[size](checkout)
                own(checkout)
            shutil.rmtree(checkout / "dist", ignore_errors=True)
            _set_version(checkout / PACKAGE / "pyproject.toml", f"1.{number}")
            return {name: commands(run, checkout)}

        return Case(name, prepare, lambda number: tools.check([PACKAGE], number))

    return [case(size, f"{size}: {name}", commands) for size in SIZES for name, commands in typed.items()]


def _set_version(settings: Path, version: str) -> None:
    text = settings.read_text()
    settings.write_text(re.sub(r"^version = .*$", f'version = "{version}"', text, flags=re.MULTILINE))


def _alone(_checkout: Path) -> None: ...


def _files(checkout: Path) -> None:
    for outer in range(1000):
        folder = checkout / "other" / f"{outer:03}"
        folder.mkdir(parents=True)
        for inner in range(100):
            (folder / f"{inner:02}.txt").write_text(f"{outer} {inner}\n")


def _modules(checkout: Path) -> None:
    package = checkout / PACKAGE / "src" / PACKAGE.replace("-", "_")
    for number in range(5000):
        (package / f"m{number}.py").write_text(f"NUMBER = {number}\n")


def _data(checkout: Path) -> None:
    folder = checkout / PACKAGE / "data"
    folder.mkdir()
    for number in range(50):
        (folder / f"{number}.bin").write_bytes(_bytes(number, 10 * _MB))


def _history(checkout: Path) -> None:
    """Commit 2 GB in 100 files, and then a commit without them."""
    subprocess.run(["git", "init", "-q", "-b", "main", checkout], check=True)
    plain = ("-c", "core.compression=0", "-c", "core.bigFileThreshold=1m")
    with subprocess.Popen(
        ["git", "-C", checkout, *plain, "fast-import", "--quiet", "--date-format=raw"], stdin=subprocess.PIPE
    ) as importing:
        assert importing.stdin
        write = importing.stdin.write
        write(b"commit refs/heads/main\ncommitter %b\ndata 3\nAdd\n" % _AUTHOR.encode())
        for number in range(100):
            write(b"M 644 inline data/%d.bin\ndata %d\n%b\n" % (number, 20 * _MB, _bytes(number, 20 * _MB)))
        write(b"\ncommit refs/heads/main\ncommitter %b\ndata 6\nRemove\nD data\n" % _AUTHOR.encode())
    if importing.returncode:
        raise RuntimeError("git cannot make a history")


def _dependencies(checkout: Path) -> None:
    named = [f'    "dependency-{number:03}>=1",' for number in range(200)]
    with (checkout / PACKAGE / "pyproject.toml").open("a") as file:
        file.write("\n".join(["dependencies = [", *named, "]\n"]))


def _bytes(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


SIZES: Mapping[str, Callable[[Path], None]] = {
    ALONE: _alone,
    FILES: _files,
    "5,000 files in the package": _modules,
    "500 MB of data beside the code": _data,
    "2 GB of git history": _history,
    "200 dependencies": _dependencies,
}
"""Makes a checkout with this package large."""
