"""Kill deletions of previews (SIGKILL) at random moments, and run them again: `python -m bench.previews_kill`.

Previews of other pull requests and releases are published into the same repository meanwhile.
"""

import argparse
import itertools
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.publisher import PUBLISHER, process_environment
from gar_emulator import Emulator, World
from gar_emulator.cloud.package_store import StoredFile
from gar_emulator.world.iam import Binding
from gar_emulator.world.world import Repository
from gar_publish.previews.versions import branch_label
from gar_publish.settings.repository import DELETER, PREVIEWS_LABEL

AT_ONCE = 2
LONGEST = 10.0
"""Seconds within which a run is killed, until one has ended by itself and shown how long it takes."""

SOON = 0.3
"""Seconds within which a run is killed after the first of its deletions."""

OPERATION_SECONDS = 0.1
PAUSE = 0.3
"""Seconds between two files that are published meanwhile."""

_SHOWN = 20
"""Runs after which the count is shown."""

_AGAIN = 1_000_000
Versions = set[tuple[str, str]]
"""Names and versions."""

_PACKAGES = tuple(f"package-{number}" for number in range(12))
"""More than one deletion sends at once."""

_LABELS = ("pr4", "pr42", "pr421", branch_label("pr42"), branch_label("42"))
_COMMITS = 4
_OTHERS = ("1.0", "1.0.1", "1.0.1.dev7", "1.0.1rc1", "1.0.1+pr42.gabc1234", "1.0.1rc1+pr42.gabc1234", "1.0.1.dev7+pr42")


def world() -> World:
    """Return the default world, whose publisher may delete versions in every repository."""
    default = World.default()
    binding = Binding(f"serviceAccount:{PUBLISHER}", DELETER, "projects/demo-project")
    switches = replace(default.switches, operation_seconds=OPERATION_SECONDS)
    return replace(default, bindings=(*default.bindings, binding), switches=switches)


def previews_repository(name: str) -> Repository:
    return Repository("demo-project", "us-central1", name, labels=dict([PREVIEWS_LABEL]))


def stock(emulator: Emulator, repository: Repository, packages: Sequence[str]) -> None:
    """Put releases and previews of several pull requests and branches into a repository."""
    previews = (f"1.0.1.dev{1000 + n}+{label}.gabc123{n}" for label in _LABELS for n in range(_COMMITS))
    for version in (*_OTHERS, *previews):
        for package in packages:
            put(emulator, repository, package, version)


def put(emulator: Emulator, repository: Repository, package: str, version: str, *, created: float = 0.0) -> None:
    """Put a file of a version into a repository."""
    draft = emulator.cloud.store.draft()
    draft.write_bytes(b"")
    name = f"{package}-{version}-py3-none-any.whl"
    stored = StoredFile(package, version, name, 0, "00" * 32, "00" * 16, "", created or time.time())
    emulator.cloud.store.add(repository, draft, stored)


@dataclass
class Killer:
    """Kills deletions of the previews of pull request 42 in one emulator.

    Attributes:
        emulator: The emulator.
        folder: The folder for the folders of the runs.
        chances: Chooses the moments.
        interrupted: How many runs were killed after they had deleted some versions, and before the last.
    """

    emulator: Emulator
    folder: Path
    chances: random.Random
    interrupted: int = 0
    _duration: float = LONGEST
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self, number: int) -> list[str]:
        """Delete, kill, and delete again. If the run ended before it was killed, repeat with another repository.

        Returns:
            The problems found afterwards.
        """
        for name in itertools.count(number, _AGAIN):
            repository = previews_repository(f"previews-{name}")
            self.emulator.cloud.create(repository)
            stock(self.emulator, repository, _PACKAGES)
            before = self._versions(repository)
            folder = self.folder / repository.name
            folder.mkdir()
            with publishing(self.emulator, repository) as published:
                killed = self._is_killed(self._start(repository, folder), repository, at_once=number % 2 == 0)
                left = len(_of_42(self._versions(repository)))
                if killed and (code := self._start(repository, folder).wait()):
                    return [f"the second run ended with {code}: {(folder / 'log').read_text()}"]
            if killed:
                with self._lock:
                    self.interrupted += 0 < left < len(_of_42(before))
                expected = before - _of_42(before) | published
                found = self._versions(repository)
                self.emulator.cloud.delete(repository)
                return [f"{what}: {sorted(which)}" for what, which in _differences(found, expected) if which]
        raise AssertionError

    def _start(self, repository: Repository, folder: Path) -> "subprocess.Popen[str]":
        with (folder / "log").open("w") as log:
            return subprocess.Popen(
                [
                    *(sys.executable, "-m", "gar_publish.cli.main", "previews", "delete", "42"),
                    f"--repository={repository.location}/{repository.project}/{repository.name}",
                ],
                cwd=folder,
                env=process_environment(self.emulator, folder),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            )

    def _is_killed(self, started: "subprocess.Popen[str]", repository: Repository, *, at_once: bool) -> bool:
        """Kill a run, at any moment or soon after its first deletion."""
        began, all_ = time.monotonic(), len(_of_42(self._versions(repository)))
        with self._lock:
            moment = self.chances.uniform(0, SOON if at_once else self._duration)
        while at_once and started.poll() is None and len(_of_42(self._versions(repository))) == all_:
            time.sleep(0.005)
        try:
            started.wait(moment)
        except subprocess.TimeoutExpired:
            started.kill()
            return started.wait() == -signal.SIGKILL
        with self._lock:
            self._duration = time.monotonic() - began
        return False

    def _versions(self, repository: Repository) -> Versions:
        return {(stored.package, stored.version) for stored in self.emulator.cloud.store.files(repository)}


class publishing:  # noqa: N801 - a context manager
    """Publish releases and previews of other pull requests, one after the other, until the end of the block."""

    def __init__(self, emulator: Emulator, repository: Repository) -> None:
        self._emulator = emulator
        self._repository = repository
        self._published: Versions = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._publish)

    def __enter__(self) -> Versions:
        self._thread.start()
        return self._published

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _publish(self) -> None:
        for package, version in self._wheels():
            if self._ended.wait(PAUSE):
                return
            put(self._emulator, self._repository, package, version)
            self._published.add((package, version))

    def _wheels(self) -> Iterator[tuple[str, str]]:
        for number in itertools.count(2):
            for package in _PACKAGES:
                yield package, f"{number}.0"
                yield package, f"1.0.1.dev{2000 + number}+pr4.g{number:07}"
                yield package, f"1.0.1.dev{2000 + number}+pr421.g{number:07}"


def _of_42(versions: Versions) -> Versions:
    return {(package, version) for package, version in versions if ".dev" in version and "+pr42.g" in version}


def _differences(found: Versions, expected: Versions) -> Iterator[tuple[str, Versions]]:
    yield "left", found - expected
    yield "lost", expected - found


def main() -> int:
    """Kill deletions, and count how many the same command completed.

    Returns:
        1 if any was not completed, or deleted anything else.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="the number of the first run, to continue")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gar-publish-bench-") as scratch:
        right = kill(range(options.first, options.first + options.runs), options.seed, Path(scratch))
    print(f"{right} of {options.runs}: exactly that pull request's versions gone")
    return int(right != options.runs)


def kill(numbers: range, seed: int, folder: Path) -> int:
    """Kill deletions, and return after how many of them exactly that pull request's versions were gone."""
    with Emulator(world(), data=folder / "emulator") as emulator, ThreadPoolExecutor(AT_ONCE) as pool:
        killer = Killer(emulator, folder, random.Random(seed + numbers.start))
        right = 0
        for count, problems in enumerate(pool.map(killer.check, numbers), 1):
            right += not problems
            for problem in problems:
                print(f"run {numbers[count - 1]}: {problem}")
            if count % _SHOWN == 0:
                print(f"{right} of {count} so far", flush=True)
        print(f"{killer.interrupted} of {len(numbers)} were killed between two deletions")
    return right


if __name__ == "__main__":
    sys.exit(main())
