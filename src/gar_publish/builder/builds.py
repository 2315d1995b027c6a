"""Build several projects side by side."""

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

_LINES_KEPT = 10_000
_TICK = 0.5


@dataclass(frozen=True)
class Built:
    """The result of one project's build.

    Attributes:
        project: The project.
        files: Its distributions, in a folder that only gar-publish can write to.
        failure: Why there are none.
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
    """Build projects side by side while the context is open, and yield each result as soon as it is ready.

    If both formats are requested, the wheel is built from the sdist, as `python -m build` and `uv build` do: this
    proves that the sdist is complete. A copy of every file is left in the project's `dist` folder.

    Args:
        projects: The projects to build.
        formats: `wheel`, `sdist`, or both.
        out: A folder of gar-publish's own, for the distributions.
        environment: All variables that gar-publish was started with; a backend gets few of them.
        console: Shows progress and the output of the backends.
        private_index: See `Environments`. Its result may have to wait for a credential.
        insist: Never build as root. True in the container.
        jobs: The most builds at once; 0 for one per processor, and one more to run while another waits for its disk.

    Raises:
        BadInput: A [build-system] table is malformed; nothing was built.
        BuildFailure: No build can run here.
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
        run = _Run(formats, out, environments, SourceDates(environment), console, live=len(sandboxes) == 1)
        waiting, done = _Waiting(projects), queue.Queue[_Done]()
        workers = [threading.Thread(target=_work, args=(run, each, waiting, done), daemon=True) for each in sandboxes]
        for worker in workers:
            worker.start()
        threading.Thread(target=_clear, args=(workers, sandboxes[0].scratch), daemon=True).start()
        yield _outcomes(len(projects), done, console)


def _clear(workers: Iterable[threading.Thread], scratch: Path) -> None:
    """Remove what the builds left, in the background: it takes time, and uploads need not wait for it."""
    for worker in workers:
        worker.join()
    shutil.rmtree(scratch, ignore_errors=True)


def _outcomes(count: int, done: "queue.Queue[_Done]", console: Console) -> Iterator[Built]:
    for _ in range(count):
        built, output = _next(done)
        if output:
            with console.group(f"Build {built.project.label}"), console.untrusted() as show:
                for line in output:
                    show(line)
        yield built


def no_index(_names: Collection[str]) -> "Future[str | None]":
    """Return the private index of a run that has none: None, at once."""
    nothing: Future[str | None] = Future()
    nothing.set_result(None)
    return nothing


def _are_nested(projects: Sequence[Project]) -> bool:
    """Return whether one project is inside another, so that one build may read what the other writes."""
    folders = {project.folder for project in projects}
    return any(parent in folders for folder in folders for parent in folder.parents)


_Done = tuple[Built, Collection[str]] | BaseException


def _next(done: "queue.Queue[_Done]") -> tuple[Built, Collection[str]]:
    """Return the next result. Wait in ticks: on Windows, a wait without a timeout ignores signals."""
    while True:
        with contextlib.suppress(queue.Empty):
            outcome = done.get(timeout=_TICK)
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome
        check_signals()


class _Waiting:
    """The projects that are not built yet.

    A project whose build requires another one comes after that one. Otherwise, a project that needs the same
    environment as the last one comes first.
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
class _Run:
    """What all builds of a run share."""

    formats: Collection[Kind]
    out: Path
    environments: Environments
    dates: SourceDates
    console: Console
    live: bool
    zygotes: Zygotes = field(default_factory=Zygotes)

    def build(self, number: int, project: Project, sandbox: Sandbox, hooks: Hooks) -> tuple[Built, Collection[str]]:
        """Build one project. Return its result, and the output of its backend if that was not shown live."""
        output: deque[str] = deque(maxlen=_LINES_KEPT)
        folder = self.out / str(number)
        folder.mkdir()
        sandbox.start_afresh()
        with self._showing(project, output) as show:
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
                return Built(project, failure=failure), output
            finally:
                hooks.end_project()
        for file in files:
            leave(file, project.folder / "dist", self.console)
        return Built(project, files), output

    @contextlib.contextmanager
    def _showing(self, project: Project, output: "deque[str]") -> Iterator[Show]:
        if self.live:
            with self.console.group(f"Build {project.label}"), self.console.untrusted() as show:
                yield show
        else:
            output.append("")
            yield output.append


def _work(run: _Run, sandbox: Sandbox, waiting: _Waiting, done: "queue.Queue[_Done]") -> None:
    """Build the waiting projects in one sandbox, one after the other."""
    hooks = Hooks(sandbox, run.zygotes)
    try:
        last = None
        while following := waiting.next(last):
            number, last = following
            done.put(run.build(number, last, sandbox, hooks))
        run.environments.keep_byte_code()
    except BaseException as error:  # noqa: BLE001 - the thread that waits for the builds raises it
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
