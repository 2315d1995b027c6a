"""Measure wall time, and the memory of all processes. Each round runs every case once, in a different order."""

import os
import re
import resource
import shutil
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

LOOK = 0.02
"""Seconds between two measurements of the memory."""

_KIB = 1024


@dataclass(frozen=True)
class Command:
    """A program to run, as a user would type it.

    Attributes:
        arguments: The program and its arguments.
        folder: The current folder.
        environment: All its variables.
        user: The user and the group that it runs as, if not as this process; only root can choose.
        contained: Whether it runs in a container, so that only its time can be measured.
    """

    arguments: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    user: int | None = None
    contained: bool = False


@dataclass(frozen=True)
class Case:
    """One way to do some work.

    Attributes:
        name: The name of its folder.
        prepare: Returns the commands to time for an empty folder and a unique number: for each part, by its name in
            the tables, the commands that run one after the other.
        check: Raises a RuntimeError if the work with that number was not done.
        rounds: The number of rounds that it takes part in; None for all.
        warm: Whether it takes part in the first round, which fills caches and does not count.
    """

    name: str
    prepare: Callable[[Path, int], Mapping[str, Sequence[Command]]]
    check: Callable[[int], None] = lambda _number: None
    rounds: int | None = None
    warm: bool = True


@dataclass
class Summary:
    """The results of all runs of a case.

    Attributes:
        seconds: The time of each run that counts.
        memory: The highest peak of all processes, in bytes; 0 if it was not measured, or there is no /proc.
        main: The highest peak of the process that was started, in bytes.
        processors: The time of processors that each run that counts took, in seconds.
    """

    seconds: list[float] = field(default_factory=list)
    memory: int = 0
    main: int = 0
    processors: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def processor(self) -> float:
        """The median of the processors' time; 0 if it was not measured."""
        return statistics.median(self.processors or [0])


class Bench:
    """Runs cases.

    Measuring memory takes time, so it is done in the round that does not count, if a case takes part in it.

    Args:
        folder: The folder for the folders of the cases, which are made again for each run.
        say: Shows progress.

    Attributes:
        failed: The names of the cases that failed.
    """

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self.failed: list[str] = []
        self._folder = folder
        self._say = say
        self._numbers = iter(range(1, 1_000_000))

    def run(self, cases: Sequence[Case], rounds: int) -> dict[str, Summary]:
        """Run the rounds after one that does not count. A case that fails is not run again."""
        found: dict[str, dict[str, Summary]] = {case.name: {} for case in cases}
        for each in range(-1, rounds):
            start = max(each, 0) % max(len(cases), 1)
            for case in (*cases[start:], *cases[:start]):
                if case.name in found and (case.warm if each < 0 else each < (case.rounds or rounds)):
                    try:
                        self._once(case, found[case.name], counts=each >= 0)
                    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                        self._say(f"{case.name} failed: {error}")
                        self.failed.append(case.name)
                        del found[case.name]
        return {name: summary for parts in found.values() for name, summary in parts.items()}

    def _once(self, case: Case, found: dict[str, Summary], *, counts: bool) -> None:
        folder = self._folder / re.sub(r"\W+", "-", case.name)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        number = next(self._numbers)
        for name, commands in case.prepare(folder, number).items():
            os.sync()  # otherwise this run waits for the disk writes of the last one
            before = _processor()
            with _Memory(looks=not (counts and case.warm)) as memory:
                seconds = _timed(commands, folder.with_suffix(".log"), memory)
            summary = found.setdefault(name, Summary())
            if counts:
                summary.seconds.append(seconds)
            if not commands[0].contained:
                summary.memory = max(summary.memory, memory.peak)
                summary.main = max(summary.main, memory.main)
                summary.processors += [_processor() - before] if counts else []
            self._say(f"{name}: {seconds:.2f} s{'' if counts else ' (does not count)'}")
        case.check(number)


def _processor() -> float:
    """Return the processor time of all processes that have ended, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _timed(commands: Sequence[Command], log: Path, memory: "_Memory") -> float:
    with log.open("wb") as output:
        began = time.perf_counter()
        for command in commands:
            with subprocess.Popen(
                command.arguments,
                cwd=command.folder,
                env=dict(command.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                user=command.user,
                group=command.user,
                extra_groups=None if command.user is None else [],
            ) as started:
                memory.watched = started.pid
            if started.returncode:
                raise RuntimeError(f"{' '.join(command.arguments)}: {started.returncode}\n{log.read_text()}")
        return time.perf_counter() - began


class _Memory:
    """Measures the memory of a process and its descendants, again and again.

    Memory that they share counts once (PSS), as for forked workers.

    Attributes:
        watched: The process.
        peak: The highest value, in bytes.
        main: The highest resident memory of the process alone, in bytes.
    """

    def __init__(self, *, looks: bool) -> None:
        self.watched = 0
        self.peak = 0
        self.main = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)
        if not looks:
            self._ended.set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(LOOK):
            if self.watched:
                self.peak = max(self.peak, sum(map(_memory_of, {self.watched, *_descendants(self.watched)})))
                self.main = max(self.main, _kib(f"/proc/{self.watched}/status", b"VmHWM:"))


def _descendants(process: int) -> Iterator[int]:
    with suppress(OSError):
        for task in os.listdir(f"/proc/{process}/task"):  # noqa: PTH208 - half the time of Path
            with open(f"/proc/{process}/task/{task}/children", "rb") as file:  # noqa: PTH123 - as above
                for child in map(int, file.read().split()):
                    yield child
                    yield from _descendants(child)


def _memory_of(process: int) -> int:
    return _kib(f"/proc/{process}/smaps_rollup", b"Pss:")


def _kib(path: str, name: bytes) -> int:
    """Return a value of a file of /proc, in bytes; 0 if the process has ended."""
    with suppress(OSError), open(path, "rb") as file:  # noqa: PTH123 - as above
        for line in file:
            if line.startswith(name):
                return int(line.split()[1]) * _KIB
    return 0
