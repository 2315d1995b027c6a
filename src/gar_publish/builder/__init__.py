"""Distributions out of source trees, without trust in what the trees hold."""

import contextlib
import functools
import os
import queue
import shutil
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

from gar_publish.builder.backend import Backend, Kind, requirements
from gar_publish.builder.bytecode import ByteCode
from gar_publish.builder.dates import SourceDates
from gar_publish.builder.environments import Environments, PrivateIndex
from gar_publish.builder.files import leave, take
from gar_publish.builder.hooks import Hooks
from gar_publish.builder.process import Show
from gar_publish.builder.sandbox import Sandbox, open_sandboxes
from gar_publish.builder.zygotes import Zygotes
from gar_publish.console import Console
from gar_publish.errors import Failure
from gar_publish.process import check_signals
from gar_publish.projects.find import Project

__all__ = ["Built", "Kind", "building", "no_index"]

_LINES_KEPT = 10_000
_TICK = 0.5


@dataclass(frozen=True)
class Built:
    """What became of one project.

    Attributes:
        project: The project.
        files: What was made of it, where nothing but gar-publish can write.
        failure: Why nothing was.
    """

    project: Project
    files: tuple[Path, ...] = ()
    failure: Failure | None = None


@contextlib.contextmanager
def building(
    projects: Sequence[Project],
    *,
    formats: Collection[Kind],
    out: Path,
    environment: Mapping[str, str],
    console: Console,
    private_index: PrivateIndex | None = None,
    insist: bool = False,
    jobs: int = 0,
) -> Iterator[Iterator[Built]]:
    """Build projects side by side, as long as the context lasts, and tell of each as soon as it is done.

    Where both formats are asked for, the wheel is made from the sdist, as `python -m build` and `uv build`
    do: then the sdist is known to be whole. A copy of every file is left in the project's `dist` folder.

    Args:
        projects: What to build.
        formats: `wheel`, `sdist`, or both.
        out: A folder of gar-publish's own; the files are below it.
        environment: The whole environment that gar-publish was started with; a backend gets little of it.
        console: Hears what happens, and what the backends say.
        private_index: See `Environments`. Its answer may wait until a credential is there.
        insist: Never build as root. True in the container.
        jobs: How many at once at most; 0 for one on each processor, and one more while another waits for its disk.

    Raises:
        BadInput: A [build-system] table is malformed; nothing was built.
        BuildFailure: No build can be run here.
    """
    if not projects:
        yield iter(())
        return
    out.chmod(0o700)
    most = 1 if _are_nested(projects) else min(jobs or (os.cpu_count() or 1) + 1, len(projects))
    with open_sandboxes(environment, console=console, insist=insist, most=most) as sandboxes:
        environments = Environments(
            sandboxes[0].scratch,
            environment,
            works=sandboxes[0].works,
            private_index=private_index or no_index,
            byte_code=ByteCode.of(environment) if sandboxes[0].user is None else None,
        )
        environments.expect(requirements(project.folder, project.label) for project in projects)
        yard = _Yard(formats, out, environments, SourceDates(environment), console, live=len(sandboxes) == 1)
        line, done = _Line(projects), queue.Queue[_Done]()
        workers = [threading.Thread(target=_work, args=(yard, each, line, done), daemon=True) for each in sandboxes]
        for worker in workers:
            worker.start()
        threading.Thread(target=_clear, args=(workers, environments, sandboxes[0].scratch), daemon=True).start()
        yield _outcomes(len(projects), done, console)


def _clear(workers: Iterable[threading.Thread], environments: Environments, scratch: Path) -> None:
    """Remove what builds leave as soon as the last has ended: it takes time, which uploads give."""
    for worker in workers:
        worker.join()
    environments.close()
    shutil.rmtree(scratch, ignore_errors=True)


def _outcomes(count: int, done: "queue.Queue[_Done]", console: Console) -> Iterator[Built]:
    for _ in range(count):
        built, said = _next(done)
        if said:
            with console.group(f"Build {built.project.label}"), console.foreign() as show:
                for each in said:
                    show(each)
        yield built


def no_index(_names: Collection[str]) -> "Future[str | None]":
    """What is said of build requirements where there is no private repository."""
    nothing: Future[str | None] = Future()
    nothing.set_result(None)
    return nothing


def _are_nested(projects: Sequence[Project]) -> bool:
    """Whether one project lies inside another, so that the build of one may read what the other's writes."""
    folders = {project.folder for project in projects}
    return any(parent in folders for folder in folders for parent in folder.parents)


_Done = tuple[Built, Collection[str]] | BaseException


def _next(done: "queue.Queue[_Done]") -> tuple[Built, Collection[str]]:
    """What is done next. It is waited for in ticks, for on Windows a wait without end hears no signal."""
    while True:
        with contextlib.suppress(queue.Empty):
            outcome = done.get(timeout=_TICK)
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome
        check_signals()


class _Line:
    """The projects that wait.

    One that needs the same environment as the last one comes first, and one whose build requires another that waits
    comes after that.
    """

    def __init__(self, projects: Iterable[Project]) -> None:
        self._waiting = list(projects)
        self._lock = threading.Lock()
        self._number = 0

    def next(self, last: Project | None) -> tuple[int, Project] | None:
        with self._lock:
            if not self._waiting:
                return None
            names = {each.name for each in self._waiting}
            free = [each for each in self._waiting if not each.build_requires & (names - {each.name})]
            alike = [each for each in free if last and each.build_requires == last.build_requires]
            project = (alike or free or self._waiting)[0]
            self._waiting.remove(project)
            self._number += 1
            return self._number, project


@dataclass(frozen=True)
class _Yard:
    """What all builds of a run have in common."""

    formats: Collection[Kind]
    out: Path
    environments: Environments
    dates: "SourceDates"
    console: Console
    live: bool
    zygotes: Zygotes = field(default_factory=Zygotes)

    def build(self, number: int, project: Project, sandbox: Sandbox, hooks: Hooks) -> tuple[Built, Collection[str]]:
        """Build one project; what its backend says comes back with it, unless it is shown as it comes."""
        said: deque[str] = deque(maxlen=_LINES_KEPT)
        folder = self.out / str(number)
        folder.mkdir()
        sandbox.start_afresh()
        with self._showing(project, said) as show:
            try:
                new_backend = functools.partial(
                    Backend,
                    label=project.label,
                    sandbox=sandbox,
                    hooks=hooks,
                    environments=self.environments,
                    extra=self.dates.of(project, sandbox),
                    show=show,
                )
                made = list(_make(new_backend, sandbox.source(project.folder), self.formats))
                files = tuple(take(file, folder) for file in made)
            except Failure as failure:
                return Built(project, failure=failure), said
            finally:
                hooks.end_project()
        for file in files:
            leave(file, project.folder / "dist", self.console)
        return Built(project, files), said

    @contextlib.contextmanager
    def _showing(self, project: Project, said: "deque[str]") -> Iterator[Show]:
        if self.live:
            with self.console.group(f"Build {project.label}"), self.console.foreign() as show:
                yield show
        else:
            said.append("")
            yield said.append


def _work(yard: _Yard, sandbox: Sandbox, line: _Line, done: "queue.Queue[_Done]") -> None:
    """Build in one sandbox what waits, until nothing does."""
    hooks = Hooks(sandbox, yard.zygotes)
    try:
        last = None
        while following := line.next(last):
            number, last = following
            done.put(yard.build(number, last, sandbox, hooks))
        yard.environments.keep_byte_code()
    except BaseException as error:  # noqa: BLE001 - the thread that waits for the builds gets it
        done.put(error)
    finally:
        hooks.close()


def _make(new_backend: Callable[[Path], Backend], tree: Path, formats: Collection[Kind]) -> Iterator[Path]:
    backend = new_backend(tree)
    if "sdist" in formats:
        sdist = backend.make("sdist")
        yield sdist
        if "wheel" in formats:
            yield new_backend(backend.unpack(sdist)).make("wheel")
    else:
        yield backend.make("wheel")
