"""Build several projects side by side."""

import contextlib
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from gar_publish.builder.backend import Backend, Kind, requirements
from gar_publish.builder.bytecode import ByteCode
from gar_publish.builder.environments import Environments, Pins, PrivateIndex
from gar_publish.builder.installer import Installer
from gar_publish.builder.process import Show, Tail
from gar_publish.builder.sandbox import NotEnded, Sandbox, Sandboxes
from gar_publish.console import Console
from gar_publish.context import Context
from gar_publish.distributions.leave import leave
from gar_publish.errors import BuildFailure, Failure
from gar_publish.files import take, usual_folder
from gar_publish.process import check_signals
from gar_publish.projects import uv_settings
from gar_publish.projects.find import Project
from gar_publish.settings.build_env import asked_for
from gar_publish.settings.source_date import source_date

_TICK = 0.5
_LONGEST_JOIN = 2


@dataclass(frozen=True)
class Built:
    """One project's distributions, in a folder that only gar-publish can write to, or why there are none.

    Attributes:
        from_tree: The wheel for any platform that was built without the sdist, to be compared with the one from it.
        seconds: How long it took.
    """

    project: Project
    files: tuple[Path, ...] = ()
    from_tree: Path | None = None
    failure: Failure | None = None
    seconds: float = field(default=0.0, compare=False)


@contextlib.contextmanager
def building(
    projects: Sequence[Project],
    *,
    formats: Collection[Kind],
    out: Path,
    context: Context,
    private_index: PrivateIndex,
    build_env: Collection[str] = (),
    jobs: int = 0,
    pins: Pins = lambda _names: (),
    check: Callable[[], None] = lambda: None,
    leaves_copies: bool = True,
) -> Iterator[Iterator[Built]]:
    """Build projects side by side while the context is open, and yield each result as soon as it is ready.

    If both formats are requested, the wheel is built from the sdist, as `python -m build` does: this proves that the
    sdist is complete.

    Args:
        projects: The projects to build.
        formats: What to build of each.
        out: A folder of gar-publish's own, for the distributions.
        context: Where the run happens. A backend gets few of its variables.
        private_index: See `Environments`. Its result may have to wait for a credential.
        build_env: The names of more variables for the backends.
        jobs: The most builds at once; 0 for one per processor, and one more to run while another waits for its disk.
        pins: See `Environments`.
        check: Called twice a second while builds run. What it raises ends them.
        leaves_copies: Whether a copy of every file is left in the project's `dist` folder.

    Raises:
        BadInput: A [build-system] table, SOURCE_DATE_EPOCH or a name of a variable is wrong; nothing was built.
        BuildFailure: No build can run here; root's builds cannot have users of their own, for example.
        NotEnded: A process of a build could not be ended.
    """
    if not projects:
        yield iter(())
        return
    out.chmod(0o700)
    date = source_date(context.environment)
    asked = asked_for(build_env, context.environment)
    for project in projects:
        requirements(project.folder, project.title)
    for warning in uv_settings.unused(projects):
        context.console.warning(warning)
    most = min(jobs or (os.cpu_count() or 1) + 1, len(projects))
    with open_sandboxes(projects, context, asked, most) as sandboxes:
        environments = Environments(
            sandboxes.scratch,
            context.environment.get("PATH", ""),
            Installer(sandboxes.scratch, context.environment, sandboxes.works, are_isolated=sandboxes.are_isolated),
            are_several=len(projects) > 1,
            may_fork=not asked,
            private_index=private_index,
            pins=pins,
            own={project.name for project in projects},
            byte_code=None if sandboxes.are_isolated else ByteCode.of(context.environment),
        )
        run = _Run(formats, out, environments, sandboxes, date, context.console, leaves_copies, live=most == 1)
        waiting, done = _Waiting(projects, in_place=not sandboxes.are_isolated), queue.Queue[_Done]()
        workers = [threading.Thread(target=_work, args=(run, waiting, done), daemon=True) for _ in range(most)]
        for worker in workers:
            worker.start()
        threading.Thread(target=_clear, args=(workers, sandboxes), daemon=True).start()
        try:
            yield _outcomes(projects, done, check, context.console)
        finally:
            sandboxes.stop()
            for worker in workers:
                worker.join(_LONGEST_JOIN)  # it may wait for a server


@contextlib.contextmanager
def open_sandboxes(
    projects: Sequence[Project], context: Context, asked: Mapping[str, str], most: int
) -> Iterator[Sandboxes]:
    """Make the sandboxes, of which `most` are open at once. Afterwards, end and remove everything in them."""
    if sys.platform == "linux" and os.geteuid() == 0:
        from gar_publish.builder import isolated  # it needs Linux

        with isolated.open_sandboxes(projects, context, asked, most) as opened:
            if opened:
                yield opened
                return
    sandboxes = Sandboxes(usual_folder("gar-publish-builds"), context.environment, asked)
    try:
        yield sandboxes
    finally:
        sandboxes.stop()
        sandboxes.clear()


def _clear(workers: Iterable[threading.Thread], sandboxes: Sandboxes) -> None:
    """Remove what the builds left, in the background: it takes time, and uploads need not wait for it."""
    for worker in workers:
        worker.join()
    sandboxes.clear()


def _outcomes(
    projects: Sequence[Project], done: "queue.Queue[_Done]", check: Callable[[], None], console: Console
) -> Iterator[Built]:
    title = f"Build {projects[0].title}" if len(projects) == 1 else "Build"
    with console.progress(title, len(projects), "builds") as advance:
        for number in range(len(projects)):

            def tick(finished: int = number) -> None:
                advance(finished)
                check()

            built, output = _next(done, tick)
            if output:
                with console.group(f"Build {built.project.title}"), console.untrusted() as show:
                    for line in output:
                        show(line)
            if not built.failure:
                names = ", ".join(file.name for file in built.files)
                console.info(f"built  {names}  in {built.seconds:.1f} s")
            yield built


_Done = tuple[Built, Collection[str]] | BaseException


def _next(done: "queue.Queue[_Done]", check: Callable[[], None]) -> tuple[Built, Collection[str]]:
    """Return the next result. Wait in ticks: on Windows, a wait without a timeout ignores signals."""
    while True:
        with contextlib.suppress(queue.Empty):
            outcome = done.get(timeout=_TICK)
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome
        check_signals()
        check()


class _Waiting:
    """The projects that are not built yet. One whose build requires another one comes after that one.

    In place, a project and one in its folder are not built at the same time: one may read what the other writes.
    """

    def __init__(self, projects: Iterable[Project], *, in_place: bool) -> None:
        self._waiting = list(enumerate(projects, start=1))
        self._names = {project.name for _, project in self._waiting}
        self._running: set[Path] = set()
        self._in_place = in_place
        self._changed = threading.Condition()

    def next(self) -> tuple[int, Project] | None:
        """Wait until a project can be built, and return it; None if there is none. After its build comes `end`."""
        with self._changed:
            while self._waiting:
                free = (each for each in self._waiting if each[1].build_requires & self._names <= {each[1].name})
                for following in chain([next(free, self._waiting[0])], free):
                    folder = following[1].folder
                    if not any(each in folder.parents or folder in each.parents for each in self._running):
                        self._waiting.remove(following)
                        self._names.discard(following[1].name)
                        self._running |= {folder} if self._in_place else set()
                        return following
                self._changed.wait()
            return None

    def end(self, project: Project) -> None:
        with self._changed:
            self._running.discard(project.folder)
            self._changed.notify_all()


@dataclass(frozen=True)
class _Run:
    """What all builds of a run share."""

    formats: Collection[Kind]
    out: Path
    environments: Environments
    sandboxes: Sandboxes
    date: str
    console: Console
    leaves_copies: bool
    live: bool

    def build(self, number: int, project: Project, opened: contextlib.ExitStack) -> tuple[Built, Collection[str]]:
        """Build one project. Return its result, and the output of its backend if that was not shown live.

        `opened` gets its sandbox, which may be closed after the result is known.
        """
        started = time.monotonic()
        output = Tail()
        folder = self.out / str(number)
        with self._showing(project, output) as show:
            try:
                folder.mkdir()
                sandbox = opened.enter_context(self.sandboxes.open(project, number))
                try:
                    made, from_tree = self._make(project, sandbox, show)
                finally:
                    sandbox.end()
                files = tuple(take(file, folder) for file in made)
                if from_tree:
                    (folder / "from-tree").mkdir()
                    from_tree = take(from_tree, folder / "from-tree")
            except NotEnded:
                raise
            except Failure as failure:
                return Built(project, failure=failure), output.lines
            except Exception as error:  # noqa: BLE001 - one project must not stop the others
                return Built(project, failure=_unexpected(project.title, error)), output.lines
        for file in files if self.leaves_copies else ():
            leave(file, project.folder / "dist", self.console)
        return Built(project, files, from_tree, seconds=time.monotonic() - started), output.lines

    def _make(self, project: Project, sandbox: Sandbox, show: Show) -> tuple[list[Path], Path | None]:
        backend = Backend(
            tree=sandbox.tree,
            label=project.title,
            sandbox=sandbox,
            environments=self.environments,
            extra={"SOURCE_DATE_EPOCH": self.date},
            show=show,
            withheld=self.sandboxes.withheld,
            left_out=self.sandboxes.left_out,
        )
        if "sdist" not in self.formats:
            return [backend.make("wheel")], None
        sdist = backend.make("sdist")
        if "wheel" not in self.formats:
            return [sdist], None
        wheel = backend.unpacked(sdist).make("wheel")
        if not wheel.name.endswith("-any.whl"):
            return [sdist, wheel], None  # to compile it once more may take long
        try:
            backend.show = lambda _: None
            return [sdist, wheel], backend.make("wheel")
        except NotEnded:
            raise
        except Failure:
            return [sdist, wheel], None

    @contextlib.contextmanager
    def _showing(self, project: Project, output: Tail) -> Iterator[Show]:
        if self.live:
            with self.console.group(f"Build {project.title}"), self.console.untrusted() as show:
                yield show
        else:
            output.add("")
            yield output.add


def _unexpected(project: str, error: Exception) -> BuildFailure:
    return BuildFailure(
        f"{project} could not be built: {error}.",
        cause="the disk is full, this machine runs too many processes, or gar-publish does not understand the project",
        fix="look for what takes the space (df -h), and run again",
        anchor="build-environment",
        detail="".join(traceback.format_exception(error)),
    )


def _work(run: _Run, waiting: _Waiting, done: "queue.Queue[_Done]") -> None:
    """Build the waiting projects, one after the other."""
    try:
        while following := waiting.next():
            with contextlib.ExitStack() as opened:
                opened.callback(waiting.end, following[1])
                done.put(run.build(*following, opened))
        run.environments.keep_byte_code()
    except BaseException as error:  # noqa: BLE001 - the thread that waits for the builds raises it
        done.put(error)
